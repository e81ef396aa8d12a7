//! A client: opens its connection, waits for the others, sends one mail after the other, and ends with QUIT.

use starttls::Policy;
use starttls::mail::{Address, Envelope, LineEnds, Opening, Outbound, opening};
use starttls::smtp::{ClientGrammar, Domain, Smtp};
use starttls_rustls::{Client, ClientTls, Error, Step};

use crate::link::End;
use crate::post::Post;

type Connection = Client<ClientGrammar<'static, Smtp>>;

pub(crate) struct Sender<'p> {
    stage: Stage,
    message: Vec<u8>,
    /// The number of message bytes passed to the connection.
    passed: usize,
    post: &'p Post,
}

enum Stage {
    Opening(Opening<'static>),
    Idle(Outbound),
    Mail(Outbound),
    Goodbye(Outbound),
    Over,
}

pub(crate) fn connection<'p>(tls: &ClientTls, post: &'p Post) -> (Connection, Sender<'p>) {
    let connection = Client::plaintext(tls, "localhost".try_into().expect("a name"));
    let opening = Opening::new(Domain::LOCALHOST, Policy::Required);
    let stage = Stage::Opening(opening);
    (connection, Sender { stage, message: Vec::new(), passed: 0, post })
}

impl Sender<'_> {
    /// The stage after a finished one.
    fn next(&mut self) -> Result<(), Error> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Opening(opening) => {
                self.post.up.update(|n| n + 1);
                Stage::Idle(opening.into_outbound(LineEnds::default())?)
            }
            Stage::Idle(outbound) => {
                (self.message, self.passed) = (self.post.next_mail(), 0);
                if self.message.is_empty() {
                    Stage::Goodbye(outbound)
                } else {
                    Stage::Mail(outbound)
                }
            }
            Stage::Mail(outbound) => {
                self.post.sent.update(|n| n + usize::from(outbound.outcome().is_ok()));
                Stage::Idle(outbound)
            }
            Stage::Goodbye(_) | Stage::Over => Stage::Over,
        };
        match &mut self.stage {
            Stage::Mail(outbound) => outbound.send(&envelope(&to())).map(drop)?,
            Stage::Goodbye(outbound) => outbound.quit().map(drop)?,
            _ => {}
        }
        Ok(())
    }
}

impl End<starttls::Client<ClientGrammar<'static, Smtp>>> for Sender<'_> {
    fn go_on(&mut self, connection: &mut Connection) -> Result<Step<()>, Error> {
        loop {
            let ended = match &mut self.stage {
                Stage::Opening(opening) => match connection.step_opening(opening, None)?.event() {
                    Err(need) => return Ok(need),
                    Ok(event) => event == opening::Event::Ready,
                },
                Stage::Idle(_) if !self.post.begun.get() => return Ok(Step::Event(())),
                Stage::Idle(_) => true,
                Stage::Mail(outbound) => {
                    let (to, mut rest) = (to(), &self.message[self.passed..]);
                    let mail = envelope(&to);
                    let mut job = outbound.resume(Some(&mail))?.with_message(&mut rest);
                    let step = connection.step_with(&mut job);
                    self.passed = self.message.len() - rest.len();
                    match step?.event() {
                        Err(need) => return Ok(need),
                        Ok(event) => event.is_last(),
                    }
                }
                Stage::Goodbye(outbound) => {
                    match connection.step_with(&mut outbound.resume(None)?)?.event() {
                        Err(need) => return Ok(need),
                        Ok(event) if event.is_last() => {
                            connection.close()?;
                            true
                        }
                        Ok(_) => false,
                    }
                }
                Stage::Over => return Ok(Step::End),
            };
            if ended {
                self.next()?;
            }
        }
    }
}

fn to() -> [Address<'static>; 1] {
    [Address::new("you@example.test").expect("an address")]
}

fn envelope<'m>(to: &'m [Address<'m>]) -> Envelope<'m> {
    Envelope::new(None, to).expect("a recipient")
}
