//! `starttls connect`.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use starttls::{Phrases, Roles as _};
use starttls_tokio::{ClientTls, Doing, Error, Mode, Prompt, Silent, Timeouts, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split, stdin, stdout};
use tokio::net::TcpListener;
use tokio::select;

use crate::args::Connect;
use crate::dial::{dial, trust};
use crate::forward::{Side, carry, forward};
use crate::ladder::Ladder;
use crate::out::out;
use crate::outcome::Failure;
use crate::picture::Tone;
use crate::serve::{not_accepted, runtime};
use crate::url::speaking;

/// Connections served at the same time; more wait in the listener's queue.
const CONNECTIONS: usize = 256;

pub(crate) fn run(args: &Connect) -> Result<(), Failure> {
    if args.listen.is_some() && !args.url.scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "--listen is for clients without TLS, and there are none that {} could go on with",
            args.url.scheme.name()
        )));
    }
    let tls = trust(args.ca.as_deref())?;
    let runtime = runtime()?;
    let Some(address) = args.listen else {
        let outcome = runtime.block_on(standard_streams(args, &tls));
        // A read of standard input may be waiting still, and a drop would wait for it.
        runtime.shutdown_background();
        return outcome;
    };
    let failed = |error: io::Error| Failure::local(format!("listening on {address}: {error}"));
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    out!("listening {} {} {}", args.url.scheme.name(), address.ip(), address.port());
    crate::out::result()?;
    let shared = Arc::new((args.clone(), tls));
    runtime.block_on(serve(&listener, CONNECTIONS, not_accepted, |local, _| {
        let shared = Arc::clone(&shared);
        async move {
            if let Err(error) = connection(&shared.0, &shared.1, local).await {
                eprintln!("starttls: {}", error.message);
            }
        }
    }));
    Ok(())
}

fn timeouts(args: &Connect) -> Timeouts {
    Timeouts::new().with_total(args.timeout)
}

/// Standard input and output. The end of the server ends it, whatever the input still has to say.
async fn standard_streams(args: &Connect, tls: &ClientTls) -> Result<(), Failure> {
    let url = &args.url;
    let mut ladder = Ladder::new(false, &url.host);
    ladder.open(&format!("{}://{}:{}", url.scheme.name(), url.host, url.port));
    let upgraded =
        dial(url, tls, timeouts(args), &mut ladder).await.map(|(driver, _)| driver.into_stream());
    let verdict = match &upgraded {
        Ok(_) => ("upgraded and verified".to_owned(), Tone::Good),
        Err(error) => (format!("not safe to use: {error}"), Tone::Bad),
    };
    let saved = ladder.save(args.ladder_svg.as_deref(), [verdict]);
    let stream = upgraded?;
    saved?;
    let (mut from_server, mut to_server) = split(stream);
    let server = Side::new(Duration::MAX, args.linger);
    let user = Side::new(Duration::MAX, Duration::ZERO);
    let (mut input, mut output) = (stdin(), stdout());
    let outward = async {
        // If the server is gone, the other direction knows and says so.
        let _ = carry((&mut input, &user), (&mut to_server, &server)).await;
        pending().await
    };
    judged(select! {
        ended = carry((&mut from_server, &server), (&mut output, &user)) => ended,
        ended = outward => ended,
    })
}

async fn connection(args: &Connect, tls: &ClientTls, mut local: Prompt) -> Result<(), Failure> {
    let Phrases { greeting, unavailable, opening, .. } =
        speaking!(args.url.scheme, P => P::PHRASES);
    // Whoever waits for a greeting gets this one; the server's was plaintext and is gone.
    match dial(&args.url, tls, timeouts(args), Silent).await {
        Ok((driver, _)) => {
            if args.url.scheme.mode == Mode::StartTls {
                local.write_all(greeting).await.map_err(Failure::from_io)?;
                let mut said = vec![0; opening.len()];
                local.read_exact(&mut said).await.map_err(Failure::from_io)?;
                if said != opening {
                    return Err(Failure::local("the client wants what the server was not told"));
                }
            }
            judged(forward(driver.into_stream(), &[], local, args.linger).await)
        }
        Err(error) => {
            // The reason is for our user, who reads it on standard error.
            let _ = local.write_all(unavailable).await;
            Err(error.into())
        }
    }
}

/// A reader that has seen enough is no mistake.
fn judged(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Failure::local(
            "the server ended the connection without TLS's goodbye; what it said may be incomplete",
        )),
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { doing: Doing::Other("forwarding"), error }.into())
        }
        _ => Ok(()),
    }
}
