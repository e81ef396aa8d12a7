//! Writes the mail that a board composes to standard output: `compose SETTINGS`, a file as
//! `Settings` describes it, with `time`.

use std::error::Error;
use std::io::Write as _;

use embedded_io::Read as _;
use sensor::{Report, Settings};
use starttls::mail::message::Progress;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("compose SETTINGS")?;
    let page = std::fs::read(path)?;
    let settings = Settings::parse(&page).map_err(|error| format!("{error:?}"))?;
    let report = Report::new(&settings, settings.time.ok_or("the settings contain no time")?)?;
    let message = report.message()?;
    let (mut composer, mut output) = (message.compose(), [0; 512]);
    let mut out = std::io::stdout().lock();
    loop {
        match composer.step(&mut output)? {
            Progress::Write(n) => out.write_all(&output[..n])?,
            Progress::Attachment(_) => {
                let (mut readings, mut piece) = (report.readings(), [0; 64]);
                loop {
                    let n = readings.read(&mut piece)?;
                    if n == 0 {
                        break;
                    }
                    let mut rest = &piece[..n];
                    while !rest.is_empty() {
                        let n = composer.attach(&mut rest, &mut output)?;
                        out.write_all(&output[..n])?;
                    }
                }
                composer.end_attachment()?;
            }
            Progress::Done => return Ok(()),
        }
    }
}
