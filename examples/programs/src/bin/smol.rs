//! A mail and a look at an IMAP server, on smol: `starttls-futures` sends the mail, and brings the second connection to TLS.

use std::env;
use std::error::Error;

use smol::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use smol::net::TcpStream;
use smol::stream::StreamExt as _;
use starttls::mail::{Address, Envelope};
use starttls::{Policy, imap};
use starttls_futures::{ClientTls, Driver, Mailer, Settings, Silent, Timeouts, upgrade_with};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [host, smtp_port, imap_port, me] = &args[..] else {
        return Err("usage: smol HOST SMTP-PORT IMAP-PORT ADDRESS".into());
    };
    smol::block_on(async {
        let tls = ClientTls::system()?;
        let to = [Address::new(me)?];
        let mailer = Mailer::new(Settings::new(host, tls.clone()).with_port(smtp_port.parse()?));
        let message = &b"Subject: smol\r\n\r\nAll is well.\r\n"[..];
        let receipt = mailer.send(&Envelope::new(Some(to[0]), &to)?, message).await?;
        println!("{receipt:?}");

        // An on-path attacker cannot predict the tag that the go-ahead must have.
        let mut tag = [0; 4];
        tls.fill_random(&mut tag)?;
        let client = imap::Client::new(imap::Tag::new(u32::from_ne_bytes(tag)), Policy::Required);
        let stream = TcpStream::connect((&host[..], imap_port.parse()?)).await?;
        let driver = Driver::new(stream, Timeouts::new(), Silent);
        let (mut stream, ()) = upgrade_with(driver, client, &tls, host, |_| ()).await?;
        // An IMAP client takes the stream from here on. This one looks at the capabilities inside TLS, and leaves.
        stream.write_all(b"a CAPABILITY\r\nb LOGOUT\r\n").await?;
        stream.flush().await?;
        let mut lines = BufReader::new(stream).lines();
        while let Some(line) = lines.next().await {
            println!("{}", line?);
        }
        Ok(())
    })
}
