//! The venue: how requests end, and what happens there by itself.

use super::*;

impl World {
    /// End the request at `index` in this way.
    pub fn end_request(&mut self, index: usize, fate: Fate) {
        let Some((id, request)) = self.requests.remove(index) else {
            return;
        };
        if let (Fate::Answered, Some(cause)) = (fate, self.refusal(&request)) {
            self.tell(Event::RouteFault(self.generation, cause));
        }
        let open = self.live.len();
        let answer = self.answer(id, &request, fate);
        // Ids begin anew with every life.
        let number = self.sent.iter().rposition(|(_, sent, _)| *sent == id);
        let number = number.expect("it was sent");
        self.ended.insert(number, self.now_ns + self.behind_ns);
        if request == Request::CancelAll {
            let swept = open.saturating_sub(self.live.len());
            self.swept.insert(number, u32::try_from(swept).expect("few"));
        }
        if fate == Fate::Slow {
            self.answers.insert(id, answer);
            let index = index.min(self.requests.len());
            return self.requests.insert(index, (id, request));
        }
        if request == Request::AskRegion && !matches!(answer, Answer::Region(_)) {
            self.is_cleared = false;
        }
        let sent_ns = Some(self.now_ns);
        self.tell(Event::Answered(id, answer, sent_ns));
    }

    pub(super) fn answer(&mut self, id: RequestId, request: &Request, fate: Fate) -> Answer {
        if let Some(answer) = self.answers.remove(&id) {
            return match fate {
                Fate::Answered | Fate::Slow => answer,
                Fate::ReplyLost | Fate::RequestLost | Fate::Late => Answer::Failed("reply lost".to_owned()),
            };
        }
        match (fate, request) {
            (Fate::Answered, Request::Place(orders)) if self.refusal(request).is_some() => {
                Answer::Placed(vec![PlaceResult::Refused("mode".to_owned()); orders.len()])
            }
            (Fate::Answered, _) if self.refusal(request).is_some() => Answer::Failed("mode".to_owned()),
            (_, _) if self.refusal(request).is_some() => Answer::Failed("lost".to_owned()),
            (Fate::Answered | Fate::Slow, _) => self.carry_out(request),
            (Fate::ReplyLost, _) => {
                self.carry_out(request);
                Answer::Failed("reply lost".to_owned())
            }
            (Fate::Late, Request::Place(orders)) => {
                let ids = orders.iter().map(|order| order.order_id.clone());
                self.late.extend(ids);
                Answer::Failed("no answer in time".to_owned())
            }
            (Fate::RequestLost | Fate::Late, _) => Answer::Failed("request lost".to_owned()),
        }
    }

    /// What the engine's mode says to a request.
    pub(super) fn refusal(&self, request: &Request) -> Option<Cause> {
        let mode = self.mode.clone()?;
        let is_taken = match request {
            Request::Place(_) => matches!(mode, Cause::PostOnly(_)),
            Request::Cancel(_) | Request::CancelAll => !matches!(mode, Cause::Restarting | Cause::Disabled),
            _ => true,
        };
        (!is_taken).then_some(mode)
    }

    pub(super) fn carry_out(&mut self, request: &Request) -> Answer {
        match request {
            Request::Place(orders) => {
                let results = orders.iter().map(|order| self.land(&order.order_id));
                Answer::Placed(results.collect())
            }
            Request::Cancel(order_ids) => {
                let mut report = CancelReport::default();
                for order_id in order_ids {
                    if self.live.remove(order_id).is_some() {
                        self.say_cancelled(order_id);
                        report.cancelled.push(order_id.clone());
                    } else {
                        let reason = "Order not found or already canceled".to_owned();
                        report.not_cancelled.push((order_id.clone(), reason));
                    }
                }
                Answer::Cancelled(report)
            }
            Request::CancelAll => {
                let cancelled: Vec<String> = std::mem::take(&mut self.live).into_keys().collect();
                for order_id in &cancelled {
                    self.say_cancelled(order_id);
                }
                Answer::Cancelled(CancelReport {
                    cancelled,
                    not_cancelled: Vec::new(),
                })
            }
            Request::ListOrders => {
                let listed = self
                    .live
                    .keys()
                    .filter(|order_id| !self.unlisted.contains(*order_id));
                Answer::Orders(listed.cloned().collect())
            }
            Request::LookUp(order_id) => {
                self.land_late(Some(order_id));
                Answer::IsLive(self.live.contains_key(order_id))
            }
            Request::ListTrades(_) => Answer::Trades(self.trades.clone()),
            Request::AskRegion => match self.region {
                Some(is_blocked) => Answer::Region(is_blocked),
                None => Answer::Failed("a page".to_owned()),
            },
            Request::Heartbeat(_) => Answer::Heartbeat {
                is_accepted: true,
                next_id: "next".to_owned(),
            },
        }
    }

    pub fn land(&mut self, order_id: &str) -> PlaceResult {
        let order = self.signer.0.borrow()[order_id].clone();
        let digit = order.token_id.chars().last().expect("a token");
        let resting = Resting {
            market: MARKETS[digit.to_digit(10).expect("its number") as usize].to_owned(),
            token_id: order.token_id,
            side: order.side,
            price_e4: order.price_e4,
            remaining_e6: order.size_e6,
        };
        if resting.side == Side::Sell && self.free(&resting.token_id) < signed(resting.remaining_e6) {
            return PlaceResult::Refused("not enough balance / allowance".to_owned());
        }
        self.live.insert(order_id.to_owned(), resting);
        PlaceResult::Accepted
    }

    /// Let orders that were under way for long arrive: one, or all.
    pub fn land_late(&mut self, only: Option<&str>) {
        let (landing, waiting) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|order_id| only.is_none_or(|only| only == order_id));
        self.late = waiting;
        let landing: Vec<String> = landing;
        for order_id in landing {
            self.land(&order_id);
        }
    }

    pub(super) fn free(&self, token_id: &str) -> i64 {
        let selling = self
            .live
            .values()
            .filter(|order| order.token_id == token_id && order.side == Side::Sell);
        let reserved: u64 = selling.map(|order| order.remaining_e6).sum();
        self.held.get(token_id).copied().unwrap_or_default() - signed(reserved)
    }

    /// Somebody trades with one of our orders.
    pub fn fill(&mut self, index: usize, shares: u64) {
        let Some(order_id) = self.live.keys().nth(index).cloned() else {
            return;
        };
        let order = self.live.get_mut(&order_id).expect("it is live");
        let size_e6 = order.remaining_e6.min(shares * SHARE);
        order.remaining_e6 -= size_e6;
        let order = order.clone();
        if order.remaining_e6 == 0 {
            self.live.remove(&order_id);
        }
        let change = if order.side == Side::Buy {
            signed(size_e6)
        } else {
            -signed(size_e6)
        };
        *self.held.entry(order.token_id.clone()).or_default() += change;
        let trade = Trade {
            id: format!("t{}", self.trades.len()),
            market: order.market.clone(),
            bucket_index: 0,
            evidence: Evidence::Confirmed,
            matched_ms: None,
            parts: vec![MakerPart {
                order_id,
                token_id: order.token_id,
                side: order.side,
                price_e4: order.price_e4,
                size_e6,
            }],
        };
        self.trades.push(trade.clone());
        if self.is_feed_up {
            self.feed.push_back(Event::TradeSeen(trade));
        }
    }

    /// One of our orders is in no listing from now on.
    pub fn leave_out(&mut self, index: usize) {
        self.unlisted.extend(self.live.keys().nth(index).cloned());
    }

    /// The venue cancels one of our orders by itself.
    pub fn cancel_at_venue(&mut self, index: usize) {
        if let Some(order_id) = self.live.keys().nth(index).cloned() {
            self.live.remove(&order_id);
            self.say_cancelled(&order_id);
        }
    }

    pub(super) fn say_cancelled(&mut self, order_id: &str) {
        if self.is_feed_up {
            let event = Event::OrderCancelled(order_id.to_owned(), "CANCELED".to_owned());
            self.feed.push_back(event);
        }
    }

    /// Everything goes well for so many ms, and mandates are renewed.
    pub fn settle(&mut self, ms: u64) {
        for step in 0..ms / 50 {
            self.deliver_all();
            for _ in 0..self.requests.len() {
                self.end_request(0, Fate::Answered);
            }
            if self.exit.is_some() {
                return;
            }
            if step % 20 == 0 {
                self.allocate();
            }
            self.pass(50 * MS);
        }
    }
}
