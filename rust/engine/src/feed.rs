//! The user channel: a WebSocket that knows when it is dead, as `venues/polymarket/socket.py`.
//!
//! The venue answers text PING with PONG. Any frame proves the connection; silence on an asked PING disproves it.

use std::rc::Rc;
use std::time::Duration;

use claw_core::engine::Event;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use zeroize::Zeroizing;

use crate::clock;
use crate::pauses::Pauses;
use crate::settings::{FeedSettings, ns};
use crate::socket::{Host, Stream};
use crate::wire;

const MAX_FRAME: usize = 1 << 24;
/// A connection that lived for less was none: the venue may close each as soon as it is there.
const LEAST_LIFE: Duration = Duration::from_secs(2);

/// What the user channel needs.
pub struct UserFeed {
    pub url: String,
    pub host: Host,
    pub subscription: Zeroizing<String>,
    pub api_key: String,
    pub settings: FeedSettings,
    /// Rung when the way to the venue is in doubt.
    pub doubt: Rc<Notify>,
}

impl UserFeed {
    /// Follow the channel for ever, connecting anew whenever it is lost.
    pub async fn follow(self, inbox: mpsc::UnboundedSender<Event>) {
        let mut pauses = Pauses::new(Duration::from_secs_f64(self.settings.reconnect_min_s));
        loop {
            let connected = self.connect().await;
            let began_ns = connected.is_ok().then(clock::now_ns);
            let reason = match connected {
                Ok(socket) => self.read(socket, &inbox).await,
                Err(reason) => format!("cannot connect to {}: {reason}", self.url),
            };
            if inbox.send(Event::FeedLost(reason)).is_err() {
                return;
            }
            let lived_ns = began_ns.map_or(0, |began_ns| clock::now_ns().saturating_sub(began_ns));
            // What was there is asked for at once.
            if Duration::from_nanos(lived_ns) >= LEAST_LIFE {
                pauses.reset();
            } else {
                tokio::time::sleep(pauses.grow()).await;
            }
        }
    }

    async fn connect(&self) -> Result<WebSocketStream<Stream>, String> {
        let connecting = async {
            let stream = self
                .host
                .connect(Rc::default())
                .await
                .map_err(|fault| fault.to_string())?;
            let limits = WebSocketConfig::default()
                .max_message_size(Some(MAX_FRAME))
                .max_frame_size(Some(MAX_FRAME));
            let opening =
                tokio_tungstenite::client_async_with_config(self.url.as_str(), stream, Some(limits));
            let (mut socket, _) = opening.await.map_err(|fault| fault.to_string())?;
            let hello = Message::text(self.subscription.as_str());
            socket.send(hello).await.map_err(|fault| fault.to_string())?;
            Ok(socket)
        };
        // A handshake says nothing of a connection that was there: a venue short of time may take its time.
        let limit = Duration::from_secs_f64(3.0 * self.settings.dead_after_s);
        timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err("it takes too long".to_owned()))
    }

    async fn ask(&self, socket: &mut WebSocketStream<Stream>) -> Result<(), String> {
        let interval = Duration::from_secs_f64(self.settings.ping_interval_s);
        match timeout(interval, socket.send(Message::text("PING"))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(format!("connection lost: {fault}")),
            Err(_) => Err("the venue takes no more bytes".to_owned()),
        }
    }

    /// Read until the connection ends; why it did.
    async fn read(
        &self,
        mut socket: WebSocketStream<Stream>,
        inbox: &mpsc::UnboundedSender<Event>,
    ) -> String {
        if inbox.send(Event::FeedConnected).is_err() {
            return "stopping".to_owned();
        }
        let interval = Duration::from_secs_f64(self.settings.ping_interval_s);
        let mut last_frame_ns = clock::now_ns();
        let mut doubted_ns = None;
        loop {
            let received = tokio::select! {
                received = timeout(interval, socket.next()) => received,
                () = self.doubt.notified() => {
                    if let Err(reason) = self.ask(&mut socket).await {
                        return reason;
                    }
                    doubted_ns = Some(clock::now_ns());
                    continue;
                }
            };
            let Ok(received) = received else {
                // Half of the usual patience: the route was silent, too.
                let limit_ns = ns(self.settings.dead_after_s) / 2;
                if doubted_ns.is_some_and(|doubted_ns| clock::now_ns() - doubted_ns > limit_ns) {
                    return "silent, as the route".to_owned();
                }
                if clock::now_ns() - last_frame_ns > ns(self.settings.dead_after_s) {
                    return format!("silent for {} s, PONG included", self.settings.dead_after_s);
                }
                match self.ask(&mut socket).await {
                    Ok(()) => continue,
                    Err(reason) => return reason,
                }
            };
            doubted_ns = None;
            let text = match received {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(_)) | None => return "connection closed by the venue".to_owned(),
                Some(Err(fault)) => return format!("connection lost: {fault}"),
            };
            last_frame_ns = clock::now_ns();
            if text.as_str() == "PONG" {
                continue;
            }
            match wire::read_user_frame(text.as_bytes(), &self.api_key) {
                Ok(events) => {
                    for event in events {
                        if inbox.send(event).is_err() {
                            return "stopping".to_owned();
                        }
                    }
                }
                Err(reason) => return reason,
            }
        }
    }
}
