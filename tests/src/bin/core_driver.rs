//! Our machines as a driver, which shows that the runner of `driver/README.md` judges them as the tables' own runner does.

use std::collections::HashMap;
use std::io::stdin;

use serde_json::{Value, json};
use starttls::Error;
use starttls_tests::run::named;
use starttls_tests::subject::{self, Log, Next, Room, Subject, Way};
use starttls_tests::table::{Over, Row, names, rows};

/// A connection of a row.
struct Connection<'r> {
    row: &'r Row,
    machine: Option<Box<dyn Subject>>,
    unread: Vec<u8>,
    log: Log,
    way: Option<Result<Option<Way>, Error>>,
}

impl Connection<'_> {
    fn begin(row: &Row) -> Connection<'_> {
        let machine = match &row.mail {
            Some(mail) if row.turns.is_empty() => {
                let way = subject::way(row.role, mail.over.unwrap_or(Over::Tls), row.tls);
                subject::mailing(row, mail, way)
            }
            _ => subject::upgrading(row),
        };
        Connection {
            row,
            machine: Some(machine),
            unread: Vec::new(),
            log: Log::default(),
            way: None,
        }
    }

    /// Everything up to the next wait, or to the end.
    fn run(&mut self) -> Value {
        loop {
            let machine = self.machine.as_mut().expect("a connection that is not over");
            let mut input = &self.unread[..];
            let next = machine.step(&mut input, Room::Ample, &mut self.log);
            let left = input.len();
            self.unread.drain(..self.unread.len() - left);
            match next {
                Next::On => {}
                Next::Read => return self.answer("wait", None),
                Next::Over("upgrade") => return self.cross(),
                Next::Over("plaintext") => return self.go_on(),
                Next::Over("done") => return self.answer("wait", None),
                Next::Over(_) => return self.answer("closed", None),
                Next::Failed(error) | Next::Denied(error) => return self.fail(&named(error)),
            }
        }
    }

    /// The machine decides with the row's result of the handshake, which the answer to `tls` then tells.
    fn cross(&mut self) -> Value {
        let machine = self.machine.take().expect("a machine");
        let (way, early) = match machine.into_upgrade(&self.unread, self.row.tls) {
            Err(error @ Error::Unverified) => (Err(error), Vec::new()),
            Err(error) => return self.answer("closed", Some(&named(error))),
            Ok((tls, early)) => (Ok(tls.map(Way::Tls)), early),
        };
        self.unread.clear();
        self.way = Some(way);
        let early: String = early.into_iter().map(char::from).collect();
        let mut answer = self.answer("upgrade", None);
        answer["early"] = early.into();
        answer
    }

    /// A client that has received more than it asked for does not go on.
    fn go_on(&mut self) -> Value {
        let machine = self.machine.take().expect("a machine");
        match machine.into_plaintext(&self.unread) {
            Ok(_) => self.answer("plaintext", None),
            Err(error) => self.answer("closed", Some(&named(error))),
        }
    }

    /// Continues inside TLS, after the handshake.
    fn inside(&mut self) -> Value {
        match self.way.take().expect("an upgrade") {
            Err(error) => self.answer("closed", Some(&named(error))),
            Ok(None) => self.answer("closed", None),
            Ok(Some(way)) => match &self.row.mail {
                None => self.answer("wait", None),
                Some(mail) => {
                    self.machine = Some(subject::mailing(self.row, mail, way));
                    self.run()
                }
            },
        }
    }

    fn fail(&mut self, error: &str) -> Value {
        let machine = self.machine.as_ref().expect("a machine");
        self.log.out.extend(machine.farewell(Room::Ample));
        self.answer("closed", Some(error))
    }

    fn answer(&mut self, state: &str, error: Option<&str>) -> Value {
        let out: String = std::mem::take(&mut self.log.out).into_iter().map(char::from).collect();
        json!({ "out": out, "state": state, "error": error })
    }

    fn hear(&mut self, message: &Value) -> Value {
        let bytes = message["bytes"].as_str().unwrap_or_default().chars();
        self.unread.extend(bytes.map(|one| u8::try_from(u32::from(one)).expect("a byte")));
        match message["do"].as_str() {
            Some("start" | "in") => self.run(),
            Some("eof") => {
                let ended = self.machine.as_mut().expect("a machine").end_of_input();
                match ended {
                    Ok(()) => self.answer("closed", None),
                    Err(error) => self.fail(&named(error)),
                }
            }
            Some("silence") => {
                let error = self.machine.as_mut().expect("a machine").timed_out();
                self.fail(&named(error))
            }
            Some("tls") => self.inside(),
            other => panic!("unknown message: {other:?}"),
        }
    }
}

fn main() {
    let all: HashMap<String, Row> =
        names().iter().flat_map(|table| rows(table)).map(|row| (row.id.clone(), row)).collect();
    let mut connection: Option<Connection<'_>> = None;
    for line in stdin().lines() {
        let message: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        if message["do"] == "start" {
            connection =
                Some(Connection::begin(&all[message["row"]["id"].as_str().expect("an id")]));
        }
        let answer = connection.as_mut().expect("a start").hear(&message);
        println!("{answer}");
    }
}
