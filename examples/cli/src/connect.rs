//! `starttls connect`.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use starttls::{Phrases, Roles as _};
use starttls_std::{ClientTls, Doing, Error, Mode, Silent, Timeouts, split};

use crate::args::Connect;
use crate::dial::{dial, trust};
use crate::ladder::Ladder;
use crate::listen;
use crate::out::out;
use crate::outcome::Failure;
use crate::picture::Tone;
use crate::pipe::{Pulse, copy, pipe};
use crate::url::speaking;

pub(crate) fn run(args: &Connect) -> Result<(), Failure> {
    if args.listen.is_some() && !args.url.scheme.protocol().begins_anew {
        return Err(Failure::local(format!(
            "--listen is for clients without TLS, and there are none that {} could go on with",
            args.url.scheme.name()
        )));
    }
    let tls = trust(args.ca.as_deref())?;
    match args.listen {
        None => standard_streams(args, &tls),
        Some(address) => {
            let failed =
                |error: io::Error| Failure::local(format!("listening on {address}: {error}"));
            let listener = TcpListener::bind(address).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            out!("listening {} {} {}", args.url.scheme.name(), address.ip(), address.port());
            crate::out::result()?;
            let args = args.clone();
            listen::each(&listener, move |local| {
                if let Err(error) = forward(&args, &tls, &local) {
                    eprintln!("starttls: {}", error.message);
                }
            });
            Ok(())
        }
    }
}

fn timeouts(args: &Connect) -> Timeouts {
    Timeouts::new().with_total(args.timeout)
}

/// Standard input and output. The end of the server ends it, whatever the input still has to say.
fn standard_streams(args: &Connect, tls: &ClientTls) -> Result<(), Failure> {
    let url = &args.url;
    let mut ladder = Ladder::new(false, &url.host);
    ladder.open(&format!("{}://{}:{}", url.scheme.name(), url.host, url.port));
    let upgraded =
        dial(url, tls, timeouts(args), &mut ladder).map(|(driver, _)| driver.into_stream());
    let verdict = match &upgraded {
        Ok(_) => ("upgraded and verified".to_owned(), Tone::Good),
        Err(error) => (format!("not safe to use: {error}"), Tone::Bad),
    };
    let saved = ladder.save(args.ladder_svg.as_deref(), [verdict]);
    let stream = upgraded?;
    saved?;
    let (mut read, mut write) = split(stream).map_err(Failure::from_io)?;
    let pulse = Arc::new(Pulse::new());
    let beat = Arc::clone(&pulse);
    let linger = args.linger;
    thread::spawn(move || {
        // If the server is gone, the other direction knows and says so.
        if copy(&mut io::stdin().lock(), &mut write, || {}).is_ok() {
            pulse.wait(linger);
            let _ = write.finish();
        }
    });
    let mut output = io::stdout().lock();
    let ended = copy(&mut read, &mut output, || beat.beat());
    judged(beat.judge(ended))
}

fn forward(args: &Connect, tls: &ClientTls, mut local: &TcpStream) -> Result<(), Failure> {
    local.set_nodelay(true).map_err(Failure::from_io)?;
    let Phrases { greeting, unavailable, opening, .. } =
        speaking!(args.url.scheme, P => P::PHRASES);
    // Whoever waits for a greeting gets this one; the server's was plaintext and is gone.
    match dial(&args.url, tls, timeouts(args), Silent) {
        Ok((driver, _)) => {
            if args.url.scheme.mode == Mode::StartTls {
                local.write_all(greeting).map_err(Failure::from_io)?;
                let mut said = vec![0; opening.len()];
                local.read_exact(&mut said).map_err(Failure::from_io)?;
                if said != opening {
                    return Err(Failure::local("the client wants what the server was not told"));
                }
            }
            judged(pipe(local, driver.into_stream(), args.linger))
        }
        Err(error) => {
            // The reason is for our user, who reads it on standard error.
            let _ = local.write_all(unavailable);
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
