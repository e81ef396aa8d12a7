//! Sends a mail from the standard input with the system's TLS instead of rustls. No async, no threads.

use std::error::Error;
use std::{env, io};

use starttls::mail::{Address, Envelope};
use starttls_std::{Mailer, NativeTls, Settings};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [host, port, from, to @ ..] = &args[..] else {
        return Err("usage: native HOST PORT FROM TO... <message".into());
    };
    let to: Vec<_> = to.iter().map(|to| Address::new(to)).collect::<Result<_, _>>()?;
    let envelope = Envelope::new(Some(Address::new(from)?), &to)?;
    let settings = Settings::new(host, NativeTls::system()).with_port(port.parse()?);
    // The message is read while it is sent, whatever its size.
    let receipt = Mailer::new(settings).send(&envelope, io::stdin().lock())?;
    println!("{receipt:?}");
    if receipt.is_complete() { Ok(()) } else { Err("some recipients were refused".into()) }
}
