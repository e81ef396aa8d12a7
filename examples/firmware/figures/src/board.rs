use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::image::Image;
use crate::part::Part;

/// Bytes in a KiB.
const KIB: u64 = 1024;

/// The limits of the smallest board, in bytes: flash, RAM with the stack, this project's part of flash.
const LIMITED: &str = "lm3s6965";
const MAX_FLASH: u64 = 160 * KIB;
const MAX_RAM: u64 = 60 * KIB;
// 17 KiB were enough for an adapter with its own driver and tasks. Those of the core, shared by all loops, keep deadlines
// in the caller's clock and track unsent bytes: 2.6 KB more flash, and 3.7 KB less RAM.
// 20 KiB before replies of any length; tests/measure/README.md lists their cost.
const MAX_OURS: u64 = 23 * KIB;

/// Figures of which the maximum of all runs counts. Of the others the minimum counts: repetitions and
/// extra frames come from the network, not from the firmware.
const PEAKS: [&str; 2] = ["stack", "heap"];

/// A board's image and its runs.
#[derive(Debug)]
pub struct Board {
    pub name: String,
    pub image: Image,
    /// `None` for a board that no emulator runs.
    run: Option<BTreeMap<String, u64>>,
}

impl Board {
    /// Reads the image, and the lines that `meter` printed from the log of its runs, if there is one.
    pub fn read(elf: &Path, log: Option<&Path>, root: &Path) -> Result<Self> {
        let name =
            elf.file_name().and_then(|name| name.to_str()).context("the image has no name")?;
        let run = log.map(|log| runs(log, name)).transpose()?;
        Ok(Self { name: name.to_owned(), image: Image::read(elf, root)?, run })
    }

    /// The rows of the table: name and figure. A figure is `None` if only a run tells it.
    pub fn rows(&self) -> Vec<(String, Option<u64>)> {
        let flash = |part: Part| self.image.flash.get(&part).copied().unwrap_or_default();
        let mut rows = vec![("**flash**, bytes".to_owned(), Some(self.flash()))];
        rows.extend(Part::ALL.map(|part| (part.name().to_owned(), Some(flash(part)))));
        let fixed = self.image.ram - self.image.heap;
        rows.extend([
            ("**RAM** in use, bytes".to_owned(), self.ram()),
            ("fixed, without the heap's space".to_owned(), Some(fixed)),
            ("stack, the deepest".to_owned(), self.of_run("stack")),
            ("heap, the peak".to_owned(), self.of_run("heap")),
            ("**sent**, bytes of frames".to_owned(), self.of_run("sent")),
            ("**received**, bytes of frames".to_owned(), self.of_run("received")),
            (
                "**instructions** up to the `250` for the mail, in thousands".to_owned(),
                self.of_run("awake"),
            ),
        ]);
        rows
    }

    /// The exceeded limits.
    pub fn exceeded(&self) -> Vec<String> {
        if self.name != LIMITED {
            return Vec::new();
        }
        let ours = Part::OURS.iter().filter_map(|part| self.image.flash.get(part)).sum();
        [
            ("flash", self.flash(), MAX_FLASH),
            ("RAM", self.ram().unwrap_or(u64::MAX), MAX_RAM),
            ("flash of this project's parts", ours, MAX_OURS),
        ]
        .into_iter()
        .filter(|(_, octets, limit)| octets > limit)
        .map(|(what, octets, limit)| format!("{}: {what}: {octets} bytes, over {limit}", self.name))
        .collect()
    }

    fn flash(&self) -> u64 {
        self.image.flash.values().sum()
    }

    /// With the stack and the heap, so only of a board that runs.
    fn ram(&self) -> Option<u64> {
        Some(self.image.ram - self.image.heap + self.of_run("stack")? + self.of_run("heap")?)
    }

    fn of_run(&self, key: &str) -> Option<u64> {
        self.run.as_ref()?.get(key).copied()
    }
}

/// The figures that `meter` printed in each run.
fn runs(log: &Path, name: &str) -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
    let mut run = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.split_once("figures: ")) {
        for figure in line.1.split_whitespace() {
            let (key, value) = figure.split_once('=').with_context(|| figure.to_owned())?;
            let value: u64 = value.parse().with_context(|| figure.to_owned())?;
            let entry = run.entry(key.to_owned()).or_insert(value);
            *entry = if PEAKS.contains(&key) { value.max(*entry) } else { value.min(*entry) };
        }
    }
    for key in ["stack", "heap", "sent", "received", "awake"] {
        ensure!(run.contains_key(key), "{name} did not print its {key}:\n{text}");
    }
    Ok(run)
}
