//! `starttls connect`.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use starttls::{Phrases, Roles as _};
use starttls_tokio::{ClientTls, Doing, Error, Mode, Silent, TcpOrUnix, Timeouts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split, stdin, stdout};
use tokio::select;

use crate::args::Connect;
use crate::dial::{client, dial};
use crate::forward::{Side, carry, forward};
use crate::ladder::Ladder;
use crate::lines::Lines;
use crate::listen::Abrupt;
use crate::out::tell;
use crate::outcome::{Failure, verdict};
use crate::service::{Needs, Service, named, runtime};
use crate::stop::Stop;
use crate::url::{Url, speaking};

pub(crate) fn run(args: &Connect) -> Result<(), Failure> {
    let url = args.url.named(args.name.as_deref()).map_err(Failure::local)?;
    if args.listen.is_some() && !args.url.scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "--listen does not work for {}: a plaintext client cannot continue its dialogue after the server's TLS",
            args.url.scheme.name()
        )));
    }
    let tls = client(&args.peer, &url, args.no_alpn)?;
    let Some(place) = &args.listen else {
        let runtime = runtime()?;
        let outcome = runtime.block_on(standard_streams(args, &url, &tls));
        // A read of standard input may still be waiting, and a drop would wait for it.
        runtime.shutdown_background();
        return outcome;
    };
    let service = Service::open(args.url.scheme.name(), place, false, &args.limits, Needs::Pair)?;
    let again = || tell!("there is no certificate to reload");
    let away = speaking!(args.url.scheme, P => P::PHRASES.unavailable);
    let shared = Arc::new((args.clone(), url, tls));
    service.run(again, away, |local, peer, _: Stop| {
        let shared = Arc::clone(&shared);
        async move {
            if let Err(error) = connection(&shared.0, &shared.1, &shared.2, local).await {
                tell!("{}: {}", named(peer), error.message);
            }
        }
    })
}

fn timeouts(args: &Connect) -> Timeouts {
    Timeouts::new().with_total(args.timeout)
}

/// Forwards standard input and output. It ends with the server, even if input remains.
async fn standard_streams(args: &Connect, url: &Url, tls: &ClientTls) -> Result<(), Failure> {
    let mut ladder = Ladder::new(false, url.name());
    ladder.open(&url.to_string());
    let upgraded = dial(url, &args.dns, args.peer.proxy.as_ref(), tls, timeouts(args), &mut ladder)
        .await
        .map(|(driver, ..)| driver.into_stream());
    let verdict = verdict(upgraded.as_ref().map(drop));
    let saved = ladder.save(args.ladder_svg.as_deref(), [verdict]);
    let stream = upgraded.map_err(|error| Failure::at(&error, url, &ladder.greeting))?;
    saved?;
    let (mut from_server, mut to_server) = split(stream);
    let server = Side::new(Duration::MAX, Some(args.linger));
    let user = Side::new(Duration::MAX, None);
    let (mut input, mut output) = (Lines::new(stdin(), args.crlf), stdout());
    let outward = async {
        // If the server has closed, the other direction reports it.
        let _ = carry((&mut input, &user), (&mut to_server, &server)).await;
        pending().await
    };
    judged(select! {
        ended = carry((&mut from_server, &server), (&mut output, &user)) => ended,
        ended = outward => ended,
    })
}

async fn connection(
    args: &Connect,
    url: &Url,
    tls: &ClientTls,
    mut local: TcpOrUnix,
) -> Result<(), Failure> {
    let Phrases { greeting, unavailable, opening, .. } = speaking!(url.scheme, P => P::PHRASES);
    // A client that waits for a greeting gets this one; the server's was plaintext and is discarded.
    match dial(url, &args.dns, args.peer.proxy.as_ref(), tls, timeouts(args), Silent).await {
        Ok((driver, _, reached)) => {
            if reached.scheme.mode == Mode::StartTls {
                local.write_all(greeting).await.map_err(Failure::from_io)?;
                let mut said = vec![0; opening.len()];
                local.read_exact(&mut said).await.map_err(Failure::from_io)?;
                if said != opening {
                    return Err(Failure::local(
                        "the client requests something other than the server was told",
                    ));
                }
            }
            let times = (args.limits.idle, args.linger);
            judged(forward(driver.into_stream(), &[], Abrupt::new(local), times).await)
        }
        Err(error) => {
            // The reason is for the user, on standard error.
            let _ = local.write_all(unavailable).await;
            let _ = local.shutdown().await;
            Err(Failure::at(&error, url, ""))
        }
    }
}

/// A reader that stops early is not an error.
fn judged(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Failure::local(
            "the server ended the connection without TLS's close_notify; its output may be incomplete",
        )),
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io(Doing::Other("forwarding"))(error).into())
        }
        _ => Ok(()),
    }
}
