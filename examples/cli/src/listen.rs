//! A thread for each connection, and not too many of them.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Connections served at the same time; more wait in the listener's queue.
const CONNECTIONS: usize = 256;

/// Serves each connection on a thread of its own, for ever.
pub(crate) fn each(listener: &TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
    let serve = Arc::new(serve);
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        while open.load(Ordering::Acquire) >= CONNECTIONS {
            thread::sleep(Duration::from_millis(20));
        }
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!("starttls: accepting: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let serve = Arc::clone(&serve);
        open.fetch_add(1, Ordering::AcqRel);
        let closed = Arc::clone(&open);
        thread::spawn(move || {
            serve(stream);
            closed.fetch_sub(1, Ordering::AcqRel);
        });
    }
}
