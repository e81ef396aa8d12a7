//! Lists an account's mailboxes: STARTTLS by `starttls-tokio`, IMAP by `async-imap`.

use std::error::Error;

use async_imap::Client;
use clap::Parser as _;
use futures_util::TryStreamExt as _;
use starttls::{Policy, imap};
use starttls_tokio::{Timeouts, connect, upgrade};
use tokio_clients::Account;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let account = Account::parse();
    let connector = account.connector()?;
    // An on-path attacker cannot predict the tag that the go-ahead must have.
    let mut tag = [0; 4];
    let random = connector.config().crypto_provider().secure_random;
    random.fill(&mut tag).map_err(|_| "no random numbers")?;
    let machine = imap::Client::new(imap::Tag::new(u32::from_ne_bytes(tag)), Policy::Required);

    let stream = connect((&account.host[..], account.port), &Timeouts::default()).await?;
    let stream = upgrade(stream, machine, &connector, &account.host).await?;

    let client = Client::new(stream);
    let mut session =
        client.login(&account.user, &account.password).await.map_err(|(error, _)| error)?;
    let mailboxes: Vec<_> = session.list(None, Some("*")).await?.try_collect().await?;
    for mailbox in mailboxes {
        println!("{}", mailbox.name());
    }
    session.logout().await?;
    Ok(())
}
