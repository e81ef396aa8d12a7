//! Asks a PostgreSQL server for the current user: SSLRequest by `starttls-tokio`, SQL by `tokio-postgres`.

use std::error::Error;

use clap::Parser as _;
use starttls::{Policy, postgres};
use starttls_tokio::{Timeouts, connect, upgrade};
use tokio_clients::Account;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let account = Account::parse();
    let connector = account.connector()?;
    let machine = postgres::Client::new(Policy::Required);

    let stream = connect((&account.host[..], account.port), &Timeouts::default()).await?;
    let stream = upgrade(stream, machine, &connector, &account.host).await?;

    let mut config = Config::new();
    // A database that exists on every server.
    config.user(&account.user).password(&account.password).dbname("postgres");
    // The stream already has TLS; tokio-postgres must not request it again.
    config.ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    for message in client.simple_query("SELECT current_user").await? {
        if let SimpleQueryMessage::Row(row) = message {
            println!("{}", row.get(0).unwrap_or_default());
        }
    }
    Ok(())
}
