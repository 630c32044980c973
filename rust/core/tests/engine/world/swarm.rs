//! What quoters and the orchestrator do, and time.

use super::*;

impl World {
    pub fn connect(&mut self, quoter: &'static str) {
        let connection = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(quoter, connection);
        self.tell(Event::QuoterConnected(connection, quoter.to_owned()));
    }

    pub fn disconnect(&mut self, quoter: &'static str) {
        if let Some(connection) = self.connections.remove(quoter) {
            self.tell(Event::QuoterClosed(connection));
        }
    }

    /// Publish the table as it stands.
    pub fn allocate(&mut self) {
        self.allocation_sent += 1;
        let mandates = (0..2).map(|index| Mandate {
            market: market(index),
            quoter: QUOTERS[self.owners[index]].to_owned(),
            epoch: self.epochs[index],
            capital_e6: CAPITAL_E6,
            max_position_e6: MAX_POSITION_E6,
            order_size_e6: 20 * SHARE,
            is_reduce_only: self.is_reduce_only,
            weight: 1.0,
        });
        let allocation = Allocation {
            term: 1,
            sent_ns: self.now_ns + self.behind_sender_ns + self.allocation_sent,
            life_ns: 10_000 * MS,
            mandates: mandates.collect(),
            merged_e6: self.merged_e6.clone(),
            state: self.state,
            ..Allocation::default()
        };
        self.tell(Event::Allocated(allocation));
    }

    /// Give a market to the other quoter.
    pub fn move_market(&mut self, index: usize) {
        self.owners[index] = 1 - self.owners[index];
        self.epochs[index] += 1;
        self.allocate();
    }

    /// A plan of whoever owns a market: `places` are (buys, price in ticks, shares).
    pub fn plan(&mut self, index: usize, cancels: usize, places: &[(bool, u16, u64)]) {
        let quoter = QUOTERS[self.owners[index]];
        let mine = self.engine.orders().of_owner(quoter, Some(MARKETS[index]));
        self.plan_of(quoter, index, mine.into_iter().take(cancels).collect(), places);
    }

    pub fn plan_of(&mut self, quoter: &str, index: usize, cancels: Vec<String>, places: &[(bool, u16, u64)]) {
        let places = places.iter().map(|(is_buy, ticks, shares)| {
            self.next_ref += 1;
            Place {
                reference: self.next_ref,
                side: if *is_buy { Side::Buy } else { Side::Sell },
                price_e4: ticks * 100,
                size_e6: shares * SHARE,
            }
        });
        let plan = Plan {
            market: MARKETS[index].to_owned(),
            term: 1,
            epoch: self.epochs[index],
            cancels,
            places: places.collect(),
            value: self.value,
            book_sequence: 1,
            book_received_ns: Some(self.now_ns),
            decided_ns: self.now_ns,
            tick_e4: None,
        };
        let Some(connection) = self.connections.get(quoter) else {
            return;
        };
        self.tell(Event::PlanSent(*connection, plan));
    }

    pub fn halt(&mut self) {
        self.tell(Event::HaltAsked(HaltSwarm {
            cause: "test".to_owned(),
            sent_ns: self.now_ns,
        }));
    }

    pub fn resume(&mut self) {
        self.tell(Event::ResumeAsked(ResumeSwarm {
            origin: "test".to_owned(),
            sent_ns: self.now_ns,
        }));
    }

    pub fn feed_up(&mut self) {
        if !self.is_feed_up {
            self.is_feed_up = true;
            self.tell(Event::FeedConnected);
        }
    }

    pub fn feed_down(&mut self) {
        if self.is_feed_up {
            self.is_feed_up = false;
            self.feed.clear();
            self.tell(Event::FeedLost("test".to_owned()));
        }
    }

    pub fn deliver_feed(&mut self) {
        if let Some(event) = self.feed.pop_front() {
            self.tell(event);
        }
    }

    /// All that the user feed has to say.
    pub fn deliver_all(&mut self) {
        while !self.feed.is_empty() {
            self.deliver_feed();
        }
    }

    /// Let time pass, in which whoever speaks does.
    pub fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        if self.speaking.guard {
            self.tell(Event::GuardSeen);
        }
        if self.speaking.sentinels {
            self.tell(Event::SentinelHeard);
        }
        for (index, quoter) in QUOTERS.into_iter().enumerate() {
            if let (true, Some(connection)) = (self.speaking.quoters[index], self.connections.get(quoter)) {
                self.tell(Event::Touched(*connection, 1));
            }
        }
        self.tell(Event::Tick);
    }
}
