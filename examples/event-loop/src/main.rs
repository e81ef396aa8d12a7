//! A mail server and its clients, all connections in one thread: see the README.

mod client;
#[cfg(feature = "io-uring")]
mod completion;
mod crowd;
mod figures;
mod link;
mod post;
mod readiness;
mod server;
mod timers;
#[cfg(feature = "io-uring")]
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Parser;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use starttls_rustls::ClientTls;

use crate::crowd::Crowd;
use crate::link::Failure;
use crate::post::Post;

/// Sends mails to itself, with STARTTLS, over many connections in one thread.
///
/// Ctrl-C ends it in good order: each client finishes its mail and says goodbye.
#[derive(Parser)]
struct Args {
    /// The number of mails to send.
    #[arg(long, default_value_t = 100)]
    mails: usize,
    /// The number of connections; all are open before the first mail is sent.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Move the bytes by completions of io_uring instead of readiness.
    #[cfg(feature = "io-uring")]
    #[arg(long)]
    io_uring: bool,
    /// Say when all connections are inside TLS and the first mails leave.
    #[arg(long)]
    say_begin: bool,
    /// Print the figures too: the time in ms, and the memory in bytes for both ends of an idle connection.
    #[arg(long)]
    figures: bool,
}

fn run(args: &Args) -> Result<bool, Failure> {
    // Two sockets per connection, because both ends are in this process.
    let sockets = 2 * u64::from(args.connections) + 64;
    if rlimit::increase_nofile_limit(sockets)? < sockets {
        return Err(format!("{sockets} files have to be open: raise the limit (ulimit -n)").into());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the process at once.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let stops = || stop.load(Ordering::Relaxed);
    let post = Post::new(args.mails, args.say_begin);
    let (connections, tls) = (args.connections.into(), certify()?);
    let (start, before) = (Instant::now(), figures::memory());
    match () {
        #[cfg(feature = "io-uring")]
        () if args.io_uring => {
            completion::run(&mut Crowd::new(connections, &post, tls), stops)?;
        }
        () => readiness::run(&mut Crowd::new(connections, &post, tls), stops)?,
    }
    let (arrived, up) = (post.arrived.borrow().len(), post.up.get());
    let stopped = if stops() { "stopped: " } else { "" };
    let mails = args.mails;
    println!("{stopped}{arrived} of {mails} mails arrived unchanged, {up} connections at once");
    if args.figures {
        let memory = post.idle_memory.get().zip(before).map(|(idle, before)| idle - before);
        let each = memory.ok_or("the memory is not known on this system")? / connections;
        println!("{} {each}", start.elapsed().as_millis());
    }
    Ok(arrived == post.sent.get() && (stops() || arrived == mails))
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("mail was lost");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("event-loop: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A new certificate, and clients that trust only it.
fn certify() -> Result<(Arc<ServerConfig>, ClientTls), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = identity.cert.der();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], identity.signing_key.into())?;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok((Arc::new(server), ClientTls::new(Arc::new(client))))
}
