//! The client's half against the server's half.

use super::super::{ALL, Answer, Ask, Greeting, MARK, Reply, Service, Setup};
use super::{Talk, feed, serve};

/// The two halves of a connection.
struct Pair {
    talk: Talk,
    service: Box<dyn Service>,
}

impl Pair {
    fn new(at: usize, setup: Setup) -> Self {
        let talk = Talk::new(&ALL[at].protocol());
        Self { service: talk.dialect.service(setup), talk }
    }

    /// Asks, and returns the answer and its meaning.
    fn ask(&mut self, ask: Ask) -> Option<(Vec<u8>, Answer)> {
        let bytes = self.talk.ask(ask)?;
        let (answer, upgrade) = serve(&mut *self.service, &bytes, self.talk.inside);
        assert_eq!(upgrade, None, "{ask:?}");
        let meaning = self.talk.hear(ask, &answer);
        Some((answer, meaning))
    }

    /// The greeting and the answer to the hello.
    fn begin(&mut self) -> (Vec<u8>, Vec<u8>) {
        let greeting = self.service.greeting(false);
        if self.talk.dialect.greets() {
            assert_eq!(self.talk.hear(Ask::Greeting, &greeting), Answer::Yes);
        } else {
            assert!(greeting.is_empty());
        }
        let hello = self.ask(Ask::Hello);
        assert!(hello.as_ref().is_none_or(|(_, meaning)| *meaning == Answer::Yes));
        (greeting, hello.map(|(answer, _)| answer).unwrap_or_default())
    }

    /// Asks for TLS and returns the request.
    fn request(&mut self, ask: Ask) -> Option<Vec<u8>> {
        let bytes = self.talk.ask(ask)?;
        let (said, request) = serve(&mut *self.service, &bytes, false);
        assert!(said.is_empty());
        Some(request.expect("the service sees a request for TLS"))
    }

    fn upgrade(&mut self) {
        self.begin();
        let request = self.request(Ask::Upgrade).expect("all have it");
        let reply = self.service.reply(Reply::GoAhead, &request).expect("all have it");
        assert_eq!(self.talk.hear(Ask::Upgrade, &reply), Answer::Yes);
        self.service.forget();
        self.talk.inside = true;
        let greeting = self.service.greeting(true);
        assert_eq!(!greeting.is_empty(), self.talk.dialect.greets_inside(&self.talk.peer()));
        if !greeting.is_empty() {
            let meaning = self.talk.hear(Ask::Greeting, &greeting);
            assert!(matches!(meaning, Answer::Yes | Answer::More), "{meaning:?}");
        }
    }
}

fn name(at: usize) -> &'static str {
    ALL[at].protocol().name
}

#[test]
fn an_upgrade_and_the_first_question_inside() {
    for at in 0..ALL.len() {
        let mut pair = Pair::new(at, Setup::CLEAN);
        pair.upgrade();
        let (answer, meaning) = pair.ask(Ask::Inside).expect("all have it");
        assert!(!answer.is_empty() && meaning == Answer::Yes, "{}: {meaning:?}", name(at));
        assert!(!pair.talk.dialect.answers_planted(&answer), "{}", name(at));
        if let Some((_, meaning)) = pair.ask(Ask::Quit) {
            assert_eq!(meaning, Answer::Yes, "{}", name(at));
        }
    }
}

#[test]
fn only_the_go_ahead_is_one() {
    let kinds = [Reply::Later, Reply::No].into_iter().chain((0..10).map(Reply::Almost));
    for (at, dialect) in ALL.into_iter().enumerate() {
        for kind in kinds.clone() {
            let mut pair = Pair::new(at, Setup::CLEAN);
            pair.begin();
            let request = pair.request(Ask::Upgrade).expect("all have it");
            let Some(reply) = pair.service.reply(kind, &request) else { continue };
            let length = dialect.answer_len(Ask::Upgrade, &pair.talk.peer(), &reply);
            // Something that precedes answers, so that the client waits on.
            let Some(length) = length else {
                assert!(matches!(kind, Reply::Almost(_)), "{} {kind:?}", name(at));
                continue;
            };
            let meaning = dialect.meaning(Ask::Upgrade, &reply[..length]);
            match kind {
                Reply::Later => assert_eq!(meaning, Answer::Later, "{}", name(at)),
                Reply::No => assert_eq!(meaning, Answer::No, "{}", name(at)),
                _ => assert_ne!(meaning, Answer::Yes, "{} {}", name(at), reply.escape_ascii()),
            }
        }
        let pair = Pair::new(at, Setup::CLEAN);
        let silent = pair.service.reply(Reply::GoAhead, &[]).is_some_and(|reply| reply.is_empty());
        let forms = (0..10).filter(|form| pair.service.reply(Reply::Almost(*form), &[]).is_some());
        assert!(silent || forms.count() >= 2, "{}", name(at));
    }
}

#[test]
fn offers() {
    for (at, dialect) in ALL.into_iter().enumerate() {
        for offers in [true, false] {
            let (greeting, hello) = Pair::new(at, Setup { offers, ..Setup::CLEAN }).begin();
            let offered = dialect.offers_tls(&greeting, &hello);
            assert!(offered.is_none_or(|offered| offered == offers), "{}", name(at));
            let shown = dialect.offers_login(&greeting, &hello);
            assert_ne!(shown, Some(false), "{}: {}", name(at), hello.escape_ascii());
        }
    }
}

#[test]
fn a_planted_command_is_recognised() {
    for (at, dialect) in ALL.into_iter().enumerate() {
        let mut pair = Pair::new(at, Setup::CLEAN);
        pair.upgrade();
        let Some(mut bytes) = pair.talk.ask(Ask::Planted) else { continue };
        let (planted, _) = serve(&mut *pair.service, &bytes, true);
        assert!(dialect.answers_planted(&planted), "{}: {}", name(at), planted.escape_ascii());

        let mut pair = Pair::new(at, Setup::CLEAN);
        pair.upgrade();
        bytes.extend(pair.talk.ask(Ask::Inside).expect("all have it"));
        let both = feed(&mut *pair.service, &bytes, true).said;
        assert!(dialect.answers_planted(&both), "{}: {}", name(at), both.escape_ascii());
    }
}

#[test]
fn a_login_begins_with_a_challenge() {
    for at in 0..ALL.len() {
        let mut pair = Pair::new(at, Setup::CLEAN);
        pair.begin();
        if let Some((answer, meaning)) = pair.ask(Ask::Login) {
            assert_eq!(meaning, Answer::More, "{}: {}", name(at), answer.escape_ascii());
        }
    }
}

#[test]
fn planted_replies_have_the_mark() {
    for (at, dialect) in ALL.into_iter().enumerate() {
        let planted = dialect.service(Setup::CLEAN).planted().unwrap_or_default();
        let has_mark = planted.windows(MARK.len()).any(|window| window == MARK.as_bytes());
        assert!(planted.is_empty() || has_mark, "{}", name(at));
    }
}

#[test]
fn other_greetings_are_no_welcome() {
    for (at, dialect) in ALL.into_iter().enumerate() {
        for greeting in [Greeting::Refusal, Greeting::Strange] {
            let mut pair = Pair::new(at, Setup { greeting, ..Setup::CLEAN });
            let mut said = pair.service.greeting(false);
            let mut meaning = Answer::Strange;
            if dialect.greets() {
                let length = dialect.answer_len(Ask::Greeting, &pair.talk.peer(), &said);
                meaning = dialect.meaning(Ask::Greeting, &said[..length.expect("whole")]);
            }
            let begins = said.is_empty() || meaning == Answer::Yes;
            if let Some(hello) = pair.talk.ask(Ask::Hello).filter(|_| begins) {
                said = feed(&mut *pair.service, &hello, false).said;
                meaning = dialect.meaning(Ask::Hello, &said);
            }
            assert_ne!(meaning, Answer::Yes, "{} {greeting:?}: {}", name(at), said.escape_ascii());
        }
    }
}
