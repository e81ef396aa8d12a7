//! A web service that confirms orders by mail: text, HTML and a picture, signed by DKIM, over connections that all
//! handlers share.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use starttls::mail::message::{Alternative, Attachment, Date, Inline, Mailbox, Parts};
use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope, Message};
use starttls_tokio::{Advice, ClientTls, Composed, Dkim, MailUrl, Pool, PoolSettings};
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn Error + Send + Sync>;

struct Shop {
    pool: Pool,
    dkim: Dkim,
    from: String,
}

#[derive(Deserialize)]
struct Order {
    number: u64,
    customer: String,
}

const LOGO: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [address, from, selector, key] = &args[..] else {
        return Err("usage: MAIL_URL=... web ADDRESS:PORT FROM DKIM-SELECTOR DKIM-KEY.PEM".into());
    };
    Address::new(from)?;
    let domain = from.rsplit('@').next().unwrap_or_default();
    let dkim = Dkim::new(domain, selector, &fs::read_to_string(key)?)?;
    // In a variable, because other users can read arguments.
    let settings = MailUrl::from_env("MAIL_URL")?.settings(ClientTls::system()?);
    // A customer waits for the answer: few retries, and soon.
    let patience = PoolSettings::new().with_retries(2).with_deadline(Duration::from_secs(10));
    let pool = Pool::new(settings, patience);
    let shop = Arc::new(Shop { pool: pool.clone(), dkim, from: from.clone() });
    let router = Router::new().route("/order", post(order)).with_state(shop);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move { terminate.recv().await.unwrap_or_default() };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    pool.shutdown().await;
    Ok(())
}

async fn order(State(shop): State<Arc<Shop>>, Json(order): Json<Order>) -> (StatusCode, String) {
    // A task of its own: a customer who leaves drops this future, and the mail's fate would be unknown.
    match tokio::spawn(confirm(shop, order)).await {
        Ok(Ok(status)) => (status, String::new()),
        Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Sends the confirmation. An error is a mistake in the order.
async fn confirm(
    shop: Arc<Shop>,
    Order { number, customer }: Order,
) -> Result<StatusCode, Failure> {
    let (from, to) = (Address::new(&shop.from)?, [Address::new(&customer)?]);
    let (text, id) = (format!("We have your order {number}.\n"), format!("{number}.{}", shop.from));
    let html =
        format!("<img src=\"cid:logo@shop\" alt=\"\"><p>We have your order <b>{number}</b>.</p>\n");
    let alternatives = [Alternative::html(&html)];
    let inline = [Inline::new(Attachment::new("image/gif", "logo.gif")?, "logo@shop")?];
    let parts = Parts::new().with_alternatives(&alternatives)?.with_inline(&inline);
    let recipients = to.map(Mailbox::new);
    let message = Message::new(Mailbox::named("The shop", from)?, &recipients)
        .with_subject("Your order")?
        .with_date(Date::utc(SystemTime::UNIX_EPOCH.elapsed()?.as_secs())?)
        .with_id(&id)? // The same if the customer tries again, so that a copy is recognised.
        .with_text(&text)
        .with_parts(&parts);
    let mut mail = Vec::new();
    Composed::new(&message, vec![Box::new(LOGO)])?.read_to_end(&mut mail).await?;
    let mail = shop.dkim.sign(&mail)?;
    let Err(error) = shop.pool.send(&Envelope::new(Some(from), &to)?, &mail).await else {
        return Ok(StatusCode::ACCEPTED);
    };
    eprintln!("order {number}: {error} ({:?})", error.advice());
    match (error.fate(), error.advice()) {
        // The server may have the mail. A second attempt can deliver it twice.
        (Fate::Unknown | Fate::Accepted, _) => Ok(StatusCode::ACCEPTED),
        (_, Advice::ChangeMail | Advice::MendArgument) => Err(error.into()),
        _ => Ok(StatusCode::SERVICE_UNAVAILABLE),
    }
}
