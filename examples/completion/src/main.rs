//! Sends the message on standard input: `completion HOST PORT CA.pem FROM TO`.

use std::error::Error;
use std::io::Read as _;

use completion::{Mailer, Strict};
use starttls::mail::{Address, Envelope};
use starttls_common::{ClientTls, Settings};

#[compio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, ca, from, to] = &arguments[..] else {
        return Err(
            "usage: completion HOST PORT CA.pem FROM TO, the message on standard input".into()
        );
    };
    let tls = ClientTls::with_ca_pem(&std::fs::read(ca)?)?;
    let settings = Settings::new(host, Strict::new(&tls)).with_port(port.parse()?);
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let to = [Address::new(to)?];
    let envelope = Envelope::new(Some(Address::new(from)?), &to)?;
    let receipt = Mailer::new(settings).send(&envelope, &message[..]).await?;
    println!("{}", receipt.recipients[0]);
    Ok(())
}
