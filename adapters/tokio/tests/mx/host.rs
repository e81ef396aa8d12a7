use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};

use crate::identity::Identity;

/// The behaviour of a mail host.
#[derive(Clone)]
pub(crate) enum Host {
    /// Accepts mail, with or without TLS.
    Tls(Identity),
    /// Accepts mail, without TLS.
    Plain,
    /// Offers TLS and closes the connection instead of the handshake.
    Broken,
    /// Offers TLS and then refuses it.
    NotNow,
    /// Offers TLS and sends plaintext after the go-ahead.
    Injects(Identity),
    /// Accepts mail, and supports REQUIRETLS.
    Keeps(Identity),
    /// Replies with this to every command but EHLO, STARTTLS and QUIT, over TLS.
    Says(Identity, &'static str),
    /// Greets with this.
    Greets(&'static str),
    /// Accepts this many recipients in a transaction, over TLS.
    Limits(Identity, usize),
    /// Refuses each message with this at its end, over TLS, and closes the connection.
    Refuses(Identity, &'static str),
    /// Closes the connection in the middle of a message.
    Dies(Identity),
}

/// A received mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The index of the host.
    pub(crate) host: usize,
    pub(crate) tls: bool,
    pub(crate) sender: String,
    pub(crate) message: String,
}

/// Hosts at 127.0.0.1, 127.0.0.2 and so on, all at one port.
pub(crate) struct Hosts {
    pub(crate) port: u16,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Hosts {
    pub(crate) async fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        let hosts: Vec<_> = hosts.into_iter().collect();
        let (port, listeners) = listen(hosts.len()).await;
        let arrived = Arc::default();
        for (index, (host, listener)) in hosts.into_iter().zip(listeners).enumerate() {
            let arrived = Arc::clone(&arrived);
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    let talk = Talk { host: host.clone(), index, arrived: Arc::clone(&arrived) };
                    // A client that disconnects is no error here.
                    tokio::spawn(talk.begin(stream));
                }
            });
        }
        Self { port, arrived }
    }

    /// The host of each mail, and whether the mail arrived over TLS.
    pub(crate) fn arrived(&self) -> Vec<(usize, bool)> {
        self.mails().iter().map(|mail| (mail.host, mail.tls)).collect()
    }

    pub(crate) fn mails(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("mails").clone()
    }
}

/// Another process may use the port at one of the addresses, so several ports are tried.
async fn listen(count: usize) -> (u16, Vec<TcpListener>) {
    'again: for _ in 0..100 {
        let mut listeners: Vec<TcpListener> = Vec::new();
        let mut port = 0;
        for last in 1..=u8::try_from(count).expect("a few") {
            let Ok(listener) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).await
            else {
                continue 'again;
            };
            port = listener.local_addr().expect("an address").port();
            listeners.push(listener);
        }
        return (port, listeners);
    }
    panic!("no port is free at {count} addresses");
}

struct Talk {
    host: Host,
    index: usize,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Talk {
    async fn begin(self, stream: TcpStream) -> io::Result<()> {
        let mut stream = BufStream::new(stream);
        match self.host {
            Host::Greets(greeting) => return say(&mut stream, greeting).await,
            _ => say(&mut stream, "220 host").await?,
        }
        if !self.session(&mut stream, false).await? {
            return Ok(());
        }
        let identity = match &self.host {
            Host::Tls(identity) | Host::Keeps(identity) => identity,
            Host::Says(identity, _) | Host::Refuses(identity, _) => identity,
            Host::Limits(identity, _) | Host::Dies(identity) => identity,
            Host::Injects(identity) => {
                say(&mut stream, "220 go ahead\r\n250 more").await?;
                identity
            }
            _ => return Ok(()),
        };
        if !matches!(self.host, Host::Injects(_)) {
            say(&mut stream, "220 go ahead").await?;
        }
        let stream = identity.acceptor.accept(stream.into_inner()).await?;
        self.session(&mut BufStream::new(stream), true).await.map(drop)
    }

    /// Returns whether TLS starts.
    async fn session<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufStream<S>,
        tls: bool,
    ) -> io::Result<bool> {
        let (mut sender, mut recipients) = (String::new(), 0);
        loop {
            let line = line(stream).await?;
            let answer = match (line.get(..4).unwrap_or_default(), &self.host) {
                ("STAR", Host::Broken) => {
                    say(stream, "220 go ahead").await?;
                    return Ok(false);
                }
                ("STAR", Host::NotNow) => "454 not now",
                ("STAR", _) => return Ok(true),
                ("EHLO", Host::Keeps(_)) if tls => "250-host\r\n250 REQUIRETLS",
                ("EHLO", Host::Plain) => "250 host",
                ("EHLO", _) if !tls => "250-host\r\n250 STARTTLS",
                ("EHLO", _) => "250 host",
                ("QUIT", _) => return say(stream, "221 bye").await.map(|()| false),
                (_, Host::Says(_, answer)) => answer,
                ("DATA", _) => {
                    say(stream, "354 go on").await?;
                    let Some(message) = self.message(stream).await? else { return Ok(false) };
                    if let Host::Refuses(_, answer) = &self.host {
                        return say(stream, answer).await.map(|()| false);
                    }
                    let sender = sender.clone();
                    let arrived = Arrived { host: self.index, tls, sender, message };
                    self.arrived.lock().expect("mails").push(arrived);
                    "250 taken"
                }
                ("RCPT", Host::Limits(_, limit)) if recipients == *limit => "452 4.5.3 too many",
                ("RCPT", _) => {
                    recipients += 1;
                    "250 ok"
                }
                ("MAIL", _) => {
                    (sender, recipients) = (line, 0);
                    "250 ok"
                }
                _ => "250 ok",
            };
            say(stream, answer).await?;
        }
    }

    async fn message<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufStream<S>,
    ) -> io::Result<Option<String>> {
        let mut message = String::new();
        loop {
            match line(stream).await?.as_str() {
                _ if matches!(self.host, Host::Dies(_)) => return Ok(None),
                "." => return Ok(Some(message)),
                line => message.push_str(line),
            }
        }
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, answer: &str) -> io::Result<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn line<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
