//! Sockets to the venue: TCP with the options of the order path, and TLS that is always verified.
//!
//! A declared route may lead through a CONNECT proxy; TLS is the venue's all the same. No session is resumed: every connection proves the venue's certificate anew and looks the same on the wire.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::clock;
use crate::declared_routes::{Proxy, Routes};
use crate::fault::Fault;

const USER_TIMEOUT_MS: u32 = 1_000;
const MOST_OF_A_PROXY: usize = 8_192;
/// Of a connection that nobody waits for; a request has a limit of its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Which authorities are believed.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The system's authorities, and those of a PEM file.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, Fault> {
        let mut roots = RootCertStore::empty();
        // What of the system's store cannot be read is not believed; a venue that needs it is then refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            let unusable = |reason: String| {
                Fault::User(format!(
                    "the certificates of {} are not usable: {reason}",
                    path.display()
                ))
            };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|fault| unusable(fault.to_string()))?
            {
                let certificate = certificate.map_err(|fault| unusable(fault.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|fault| unusable(fault.to_string()))?;
            }
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|fault| Fault::Crash(fault.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// The venue's host.
#[derive(Clone)]
pub struct Host {
    address: String,
    header: HeaderValue,
    routes: Rc<Routes>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Host {
    /// Read the host of a URL whose scheme is `plain`, or `plain` with an s and then TLS.
    pub fn of_url(url: &str, plain: &str, trust: &Trust, routes: &Rc<Routes>) -> Result<Self, Fault> {
        let unusable = || {
            Fault::User(format!(
                "{url} is not a URL of the form {plain}://HOST or {plain}s://HOST"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| unusable())?;
        let authority = uri.authority().ok_or_else(unusable)?;
        let is_tls = match uri.scheme_str().and_then(|scheme| scheme.strip_prefix(plain)) {
            Some("") => false,
            Some("s") => true,
            _ => return Err(unusable()),
        };
        let name = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = if is_tls {
            let name = ServerName::try_from(name).map_err(|_| unusable())?;
            Some((TlsConnector::from(Arc::clone(&trust.0)), name))
        } else {
            None
        };
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            header: HeaderValue::from_str(authority.as_str()).map_err(|_| unusable())?,
            routes: Rc::clone(routes),
            tls,
        })
    }

    /// What names it in a request.
    pub const fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// Which of the declared routes new connections take.
    pub fn route(&self) -> usize {
        self.routes.current()
    }

    /// Which comes after it, if there is another one that may be used.
    pub fn next_route(&self) -> Option<usize> {
        self.routes.next()
    }

    /// Connect over the route in use; `watch` sees what happens to the socket.
    pub async fn connect(&self, watch: Rc<Watch>) -> io::Result<Stream> {
        self.connect_over(self.route(), watch).await
    }

    /// Connect over this route.
    pub async fn connect_over(&self, route: usize, watch: Rc<Watch>) -> io::Result<Stream> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.open(route, watch)).await?
    }

    async fn open(&self, route: usize, watch: Rc<Watch>) -> io::Result<Stream> {
        let proxy = self.routes.proxy_of(route);
        let address = proxy.map_or(self.address.as_str(), Proxy::address);
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_tcp_user_timeout(&stream, USER_TIMEOUT_MS)?;
        if let Some(proxy) = proxy {
            self.ask_through(proxy, &mut stream).await?;
        }
        let stream = Watched { stream, watch };
        Ok(match &self.tls {
            None => Stream::Plain(stream),
            Some((connector, name)) => Stream::Tls(Box::new(connector.connect(name.clone(), stream).await?)),
        })
    }
}

impl Host {
    /// Have a proxy connect to the venue; what it says before that is not the venue's word.
    async fn ask_through(&self, proxy: &Proxy, stream: &mut TcpStream) -> io::Result<()> {
        let host = &self.address;
        let password = proxy.password().map(|password| {
            let header = password.header();
            Zeroizing::new(format!("Proxy-Authorization: {header}\r\n"))
        });
        let password = password.as_deref().map_or("", String::as_str);
        let request = Zeroizing::new(format!(
            "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{password}\r\n"
        ));
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() > MOST_OF_A_PROXY {
                return Err(io::Error::other("the proxy's answer has no end"));
            }
            answer.push(stream.read_u8().await?);
        }
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.lines().next().unwrap_or_default();
        if status.starts_with("HTTP/1.") && status.split(' ').nth(1) == Some("200") {
            return Ok(());
        }
        Err(io::Error::other(format!("the proxy answers {status:?}")))
    }
}

/// What has happened to a socket.
#[derive(Debug, Default)]
pub struct Watch {
    /// When bytes were last written.
    pub written_ns: Cell<Option<u64>>,
    /// Whether the peer or the kernel broke it, which is no orderly end.
    pub is_broken: Cell<bool>,
    /// Whether what is not yet sent is thrown away when it closes.
    pub is_abandoned: Cell<bool>,
}

/// A connection, with or without TLS.
pub enum Stream {
    Plain(Watched),
    Tls(Box<TlsStream<Watched>>),
}

/// A socket that notes what happens to it.
pub struct Watched {
    stream: TcpStream,
    watch: Rc<Watch>,
}

impl Watched {
    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            self.watch.is_broken.set(true);
        }
        polled
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.watch.is_abandoned.get() {
            // A reset instead of an end: no order that waits in the kernel may leave later.
            let linger = Some(Duration::ZERO);
            let _ = rustix::net::sockopt::set_socket_linger(&self.stream, linger);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note(polled)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(polled, Poll::Ready(Ok(_))) {
            self.watch.written_ns.set(Some(clock::now_ns()));
        }
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
