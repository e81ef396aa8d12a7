//! An IMAP server with one user and one empty mailbox. `starttls-tokio` brings a connection to TLS; inside, `imap-codec`
//! reads the commands and prints the replies.

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use imap_codec::decode::{CommandDecodeError, Decoder as _};
use imap_codec::encode::Encoder as _;
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::CommandContinuationRequest as Continuation;
use imap_codec::imap_types::response::{Capability, Code, Data, Response, Status};
use imap_codec::{CommandCodec, ResponseCodec};
use starttls::{imap, server};
use starttls_tokio::rustls::ServerConfig;
use starttls_tokio::{Certificates, Places, Prompt, Secret, accept, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::time::{Instant, timeout, timeout_at};

type Failure = Box<dyn Error + Send + Sync>;

/// The one user, with the password.
type Account = (String, Secret);

/// How long a client may take for a whole command (RFC 9051 section 5.4), and to read a reply.
const AUTOLOGOUT: Duration = Duration::from_secs(30 * 60);
const PATIENCE: Duration = Duration::from_secs(60);

/// The limit of a command, in bytes.
const LONGEST: usize = 8192;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [address, chain, key, user] = &args[..] else {
        return Err("usage: PASSWORD=... imap-server ADDRESS:PORT CHAIN.PEM KEY.PEM USER".into());
    };
    let tls = Certificates::from_pem_files(chain, key)?.config()?;
    // In a variable, because other users can read arguments.
    let account = Arc::new((user.clone(), Secret::new(env::var("PASSWORD")?)));
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let stop = async { drop(ctrl_c().await) };
    let connection = |stream, _| {
        let (tls, account) = (Arc::clone(&tls), Arc::clone(&account));
        async move { talk(stream, &tls, &account).await.unwrap_or_else(|error| eprintln!("{error}")) }
    };
    serve(&listener, Places::new(1000).with_per_peer(20), stop, drop, connection).await;
    Ok(())
}

/// Serves one client to its end.
async fn talk(stream: Prompt, tls: &Arc<ServerConfig>, account: &Account) -> Result<(), Failure> {
    let machine = imap::Server::new(server::Config::default());
    let mut stream = accept(stream, machine, tls).await?;
    let (mut unread, mut allowed, mut is_in) = (Vec::new(), 0, false);
    let mut until = Instant::now() + AUTOLOGOUT;
    loop {
        let (replies, ends) = match CommandCodec::new().decode(&unread) {
            Ok((rest, command)) => {
                let ends = command.body == CommandBody::Logout;
                let replies = answer(&command, account, &mut is_in)?;
                (unread, allowed, until) = (rest.to_vec(), 0, Instant::now() + AUTOLOGOUT);
                (replies, ends)
            }
            // The client waits for permission, once for each literal.
            Err(CommandDecodeError::LiteralFound { .. }) if unread.len() > allowed => {
                allowed = unread.len();
                let go_on = Continuation::basic(None, "Go on")?;
                (encode(Response::CommandContinuationRequest(go_on)), false)
            }
            Err(CommandDecodeError::Failed) => (bye("Not a command")?, true),
            Err(_) if unread.len() > LONGEST => (bye("Command too long")?, true),
            Err(_) => match timeout_at(until, stream.read_buf(&mut unread)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(read) => (read.map(|_| Vec::new())?, false),
                Err(_) => (bye("Idle for too long")?, true),
            },
        };
        timeout(PATIENCE, stream.write_all(&replies)).await??;
        timeout(PATIENCE, stream.flush()).await??;
        if ends {
            return Ok(stream.shutdown().await?);
        }
    }
}

fn encode(response: Response<'_>) -> Vec<u8> {
    ResponseCodec::new().encode(&response).dump()
}

fn bye(why: &str) -> Result<Vec<u8>, Failure> {
    Ok(encode(Response::Status(Status::bye(None, why)?)))
}

/// The replies to a command. The last one has its tag.
fn answer(command: &Command<'_>, account: &Account, is_in: &mut bool) -> Result<Vec<u8>, Failure> {
    let tag = Some(command.tag.clone());
    let done = Status::ok(tag.clone(), None, "Done")?;
    let data =
        |data: Vec<Data<'_>>| data.into_iter().map(Response::Data).flat_map(encode).collect();
    let (before, last) = match &command.body {
        CommandBody::Noop => (Vec::new(), done),
        CommandBody::Logout => (bye("Goodbye")?, done),
        CommandBody::Capability => {
            (data(vec![Data::Capability(Capability::Imap4Rev1.into())]), done)
        }
        CommandBody::Login { username, password } if !*is_in => {
            let password = str::from_utf8(password.declassify().as_ref()).unwrap_or_default();
            // Both in any case, so that the time does not tell whether the user exists.
            *is_in = account.1.matches(password) & (username.as_ref() == account.0.as_bytes());
            let no = Status::no(tag, None, "Wrong user or password")?;
            (Vec::new(), if *is_in { done } else { no })
        }
        CommandBody::Select { mailbox: Mailbox::Inbox } if *is_in => {
            let empty = vec![Data::Flags(Vec::new()), Data::Exists(0), Data::Recent(0)];
            (data(empty), Status::ok(tag, Some(Code::ReadWrite), "Selected")?)
        }
        CommandBody::Select { .. } if *is_in => {
            (Vec::new(), Status::no(tag, None, "No such mailbox")?)
        }
        _ => (Vec::new(), Status::bad(tag, None, "Not known, or not now")?),
    };
    Ok([before, encode(Response::Status(last))].concat())
}
