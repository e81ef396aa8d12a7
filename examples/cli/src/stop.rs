//! Signals to a service, and the time for its connections at the end.

use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::select;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::out::tell;
use crate::outcome::Failure;

/// The end of the service, for many waiters.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens to the signals, on the runtime that this is called on: the first SIGTERM or SIGINT ends the service,
    /// the second ends the process at once (128 and the signal's number); SIGHUP calls `again`.
    pub(crate) fn listen(again: impl Fn() + Send + 'static) -> Result<Self, Failure> {
        let (ends, stop) = watch::channel(false);
        let signals = Signals::new().map_err(failed)?;
        let hangup = move || {
            again();
            None
        };
        tokio::spawn(heed(signals, ends, "ending", true, hangup));
        Ok(Self(stop))
    }

    /// Listens to the signals on a separate thread, for a command without a runtime. The end of its terminal (SIGHUP)
    /// ends it, too.
    pub(crate) fn listen_apart(says: &'static str) -> Result<Self, Failure> {
        let (ends, stop) = watch::channel(false);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let signals = {
            let _context = runtime.enter();
            Signals::new().map_err(failed)?
        };
        std::thread::spawn(move || runtime.block_on(heed(signals, ends, says, false, || Some(1))));
        Ok(Self(stop))
    }

    /// Whether a signal has requested the end.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) {
        if self.0.clone().wait_for(|ends| *ends).await.is_err() {
            pending().await
        }
    }

    /// Waits for `service`; after the signal at most for `time`.
    pub(crate) async fn bound(&self, time: Duration, service: impl Future<Output = ()>) {
        let mut service = pin!(service);
        select! {
            () = &mut service => {}
            () = async { self.wait().await; sleep(time).await } => {
                tell!("closing the remaining connections after {} seconds", time.as_secs());
            }
        }
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::local(format!("listening to signals: {error}"))
}

/// Passes signals on. SIGHUP calls `hangup`, which returns the signal's number if it ends the command.
async fn heed(
    mut signals: Signals,
    ends: watch::Sender<bool>,
    says: &'static str,
    is_service: bool,
    hangup: impl Fn() -> Option<i32>,
) {
    // Only Unix has this signal.
    let _ = &hangup;
    loop {
        let number = match signals.next().await {
            #[cfg(unix)]
            Signal::Hangup => hangup(),
            Signal::End(number) => Some(number),
        };
        match number {
            Some(number) if *ends.borrow() => std::process::exit(128 + number),
            Some(_) => {
                // A service without connections ends at once, so that its last line must be queued before. Another
                // command writes directly and may wait for a reader, so that it has to end first.
                if is_service {
                    tell!("{says}; a second signal ends it at once");
                    ends.send_replace(true);
                } else {
                    ends.send_replace(true);
                    tell!("{says}; a second signal ends it at once");
                }
            }
            None => {}
        }
    }
}

enum Signal {
    #[cfg(unix)]
    Hangup,
    /// The signal's name.
    End(i32),
}

#[cfg(unix)]
struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        select! {
            Some(()) = self.hangup.recv() => Signal::Hangup,
            Some(()) = self.terminate.recv() => Signal::End(15),
            Some(()) = self.interrupt.recv() => Signal::End(2),
            else => pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::End(2),
            Err(_) => pending().await,
        }
    }
}
