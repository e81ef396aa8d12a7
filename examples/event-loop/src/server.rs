//! A server: takes every mail that is as it was sent.

use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::receiver::{Answer, Event as Mail, Limits, Receiver};
use starttls::smtp::{self, Domain, ServerGrammar, Smtp};
use starttls::{Tls, server};
use starttls_rustls::{Error, Event, Server, Step};

use crate::link::End;
use crate::post::Post;

type Connection = Server<ServerGrammar<'static, Smtp>>;

const LIMIT: usize = 1 << 20;

pub(crate) struct Taker<'p> {
    receiver: Option<Receiver<'static, Tls>>,
    text: Vec<u8>,
    over: bool,
    post: &'p Post,
}

pub(crate) fn connection<'p>(tls: &Arc<ServerConfig>, post: &'p Post) -> (Connection, Taker<'p>) {
    let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
    let connection = Server::new(server, Arc::clone(tls));
    (connection, Taker { receiver: None, text: Vec::new(), over: false, post })
}

impl End<starttls::Server<ServerGrammar<'static, Smtp>>> for Taker<'_> {
    fn go_on(&mut self, connection: &mut Connection) -> Result<Step<()>, Error> {
        while !self.over {
            let Some(receiver) = &mut self.receiver else {
                match connection.step()?.event() {
                    Err(need) => return Ok(need),
                    Ok(Event::Established(tls)) => {
                        let limits = Limits::default().with_size(Some(LIMIT));
                        self.receiver = Some(Receiver::new(tls, Domain::LOCALHOST, limits));
                    }
                    Ok(Event::Before(server::Event::UpgradeRequested)) => connection.accept()?,
                    Ok(Event::Before(server::Event::Quit)) => self.over = true,
                    Ok(_) => {}
                }
                continue;
            };
            match connection.step_with(receiver)?.event() {
                Err(need) => return Ok(need),
                Ok(Mail::Mail(_) | Mail::Recipient(_)) => {
                    self.text.clear();
                    receiver.accept()?;
                }
                // The machine refuses what is larger.
                Ok(Mail::Body(piece)) if self.text.len() <= LIMIT => self.text.extend(piece),
                Ok(Mail::Message { .. }) if self.post.arrives(&self.text) => receiver.accept()?,
                Ok(Mail::Message { .. }) => {
                    let no = Answer::new(554, "5.6.0 Not as it was sent").expect("a line");
                    connection.write_with(|free| receiver.answer(no, free))?;
                }
                Ok(Mail::Quit) => {
                    connection.close()?;
                    self.over = true;
                }
                Ok(_) => {}
            }
        }
        Ok(Step::End)
    }
}
