//! HTTP/1.1 kept alive: routes of warm connections, one request at a time on each.
//!
//! A read is always pending, so a connection that the venue closes is noticed at once; TCP_USER_TIMEOUT finds one
//! that swallows bytes. A request is sent again only when not a byte of it has left this process.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use crate::socket::{Host, Watch};

/// Idle connections that each route keeps open.
const WARM: usize = 2;
const MAX_BODY: usize = 16 << 20;

/// What is sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The venue has not seen it.
    Unsent(String),
    /// It may have had its effect.
    Unknown(String),
}

/// An exchange, and when the last byte of the request was on the socket.
pub type Exchange = (Result<Incoming, Lost>, Option<u64>);

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    watch: Rc<Watch>,
}

/// Warm connections for one kind of request.
pub struct Route {
    host: Host,
    idle: RefCell<Vec<Connection>>,
}

impl Route {
    /// A route without connections yet.
    pub fn new(host: &Host) -> Self {
        Self {
            host: host.clone(),
            idle: RefCell::default(),
        }
    }

    /// Forget connections that are closed and open new ones until enough are warm.
    pub async fn keep_warm(&self) {
        self.idle
            .borrow_mut()
            .retain(|connection| !connection.sender.is_closed());
        while self.idle.borrow().len() < WARM {
            match self.connect().await {
                Ok(connection) => self.idle.borrow_mut().push(connection),
                Err(_) => return,
            }
        }
    }

    /// Send one request and read its whole answer.
    pub async fn exchange(&self, outgoing: Outgoing, limit: Duration) -> Exchange {
        let written_ns = RefCell::default();
        let answer = tokio::time::timeout(limit, self.attempt(outgoing, &written_ns)).await;
        let sent_ns = written_ns
            .borrow()
            .as_ref()
            .and_then(|watch: &Rc<Watch>| watch.written_ns.get());
        let answer = answer.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", limit.as_secs_f64());
            // Once a connection has it, its bytes may leave even now.
            let has_connection = written_ns.borrow().is_some();
            Err(if has_connection {
                Lost::Unknown(reason)
            } else {
                Lost::Unsent(reason)
            })
        });
        (answer, sent_ns)
    }

    async fn attempt(
        &self,
        outgoing: Outgoing,
        written: &RefCell<Option<Rc<Watch>>>,
    ) -> Result<Incoming, Lost> {
        let mut request = self.request(outgoing)?;
        loop {
            let idle = self.take_idle();
            let is_fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self
                    .connect()
                    .await
                    .map_err(|fault| Lost::Unsent(fault.to_string()))?,
            };
            connection.watch.written_ns.set(None);
            *written.borrow_mut() = Some(Rc::clone(&connection.watch));
            match connection.sender.try_send_request(request).await {
                Ok(response) => return self.read(connection, response).await,
                Err(mut fault) => match fault.take_message() {
                    Some(unsent) if !is_fresh => request = unsent,
                    Some(_) => return Err(Lost::Unsent(fault.error().to_string())),
                    None => return Err(Lost::Unknown(fault.error().to_string())),
                },
            }
        }
    }

    async fn read(
        &self,
        connection: Connection,
        response: hyper::Response<hyper::body::Incoming>,
    ) -> Result<Incoming, Lost> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|fault| Lost::Unknown(fault.to_string()))?.to_bytes();
        self.idle.borrow_mut().push(connection);
        Ok(Incoming {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    fn request(&self, outgoing: Outgoing) -> Result<Request<Full<Bytes>>, Lost> {
        let mut headers = outgoing.headers;
        headers.insert(HOST, self.host.header().clone());
        if !outgoing.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut request = Request::new(Full::new(Bytes::from(outgoing.body)));
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = outgoing
            .target
            .parse()
            .map_err(|_| Lost::Unsent("not a target".to_owned()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The connection used last is the warmest.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|connection| connection.sender.is_ready());
        idle.pop()
    }

    async fn connect(&self) -> io::Result<Connection> {
        let watch = Rc::default();
        let stream = self.host.connect(Rc::clone(&watch)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // It ends when the venue closes or the sender is dropped; either way the sender knows.
        spawn_local(async move {
            let _ = connection.await;
        });
        sender.ready().await.map_err(io::Error::other)?;
        Ok(Connection { sender, watch })
    }
}
