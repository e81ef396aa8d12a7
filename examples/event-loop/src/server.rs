//! A server: accepts every mail that arrives unchanged.

use std::sync::Arc;

use rustls::ServerConfig;
use starttls::mail::receiver::{self, Answer, Limits};
use starttls::mail::{Inbound, inbound};
use starttls::server;
use starttls::smtp::{Domain, ServerGrammar, Smtp};
use starttls_rustls::{Error, Server, Step};

use crate::link::End;
use crate::post::Post;

type Connection = Server<ServerGrammar<'static, Smtp>>;

const LIMIT: usize = 1 << 20;

pub(crate) struct Taker<'p> {
    inbound: Inbound<'static>,
    text: Vec<u8>,
    over: bool,
    post: &'p Post,
}

pub(crate) fn connection<'p>(tls: &Arc<ServerConfig>, post: &'p Post) -> (Connection, Taker<'p>) {
    let limits = Limits::default().with_size(Some(LIMIT)).into();
    let inbound = Inbound::new(Domain::LOCALHOST, server::Config::default(), limits);
    let taker = Taker { inbound, text: Vec::new(), over: false, post };
    (Server::plaintext(Arc::clone(tls)), taker)
}

impl End<starttls::Server<ServerGrammar<'static, Smtp>>> for Taker<'_> {
    fn go_on(&mut self, connection: &mut Connection) -> Result<Step<()>, Error> {
        while !self.over {
            let event = match connection.step_inbound(&mut self.inbound)?.event() {
                Err(need) => return Ok(need),
                Ok(inbound::Event::Receiver(event)) => event,
                Ok(inbound::Event::Quit) => {
                    // Without TLS there is no close_notify to send.
                    if self.inbound.is_encrypted() {
                        connection.close()?;
                    }
                    self.over = true;
                    continue;
                }
                Ok(_) => continue,
            };
            match event {
                receiver::Event::Mail(_) | receiver::Event::Recipient(_) => {
                    self.text.clear();
                    self.inbound.accept()?;
                }
                // The machine refuses larger messages.
                receiver::Event::Body(piece) if self.text.len() <= LIMIT => self.text.extend(piece),
                receiver::Event::Message { .. } if self.post.arrives(&self.text) => {
                    self.inbound.accept()?;
                }
                receiver::Event::Message { .. } => {
                    let no = Answer::new(554, "5.6.0 Message was changed").expect("a line");
                    connection.write_with(|free| self.inbound.answer(no, free))?;
                }
                _ => {}
            }
        }
        Ok(Step::End)
    }
}
