//! What is measured, and what it may come to.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::figures::Figures;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

/// One measure: ours, and what it is compared with.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// The name of the row's file.
    #[serde(skip)]
    pub(crate) group: String,
    /// One row for each word that a script prints: `{}` in the measure and in our command stands for it.
    each: Option<Each>,
    /// What is measured, for a reader.
    pub(crate) measure: String,
    pub(crate) unit: String,
    /// Whether callgrind counts the program's instructions. Otherwise the program prints the figure.
    #[serde(default)]
    pub(crate) counted: bool,
    /// How often a counted program repeats its work.
    #[serde(default = "thousand")]
    pub(crate) repetitions: u32,
    pub(crate) ours: Run,
    #[serde(default)]
    pub(crate) peers: Vec<Run>,
    /// A limit of the machine or a minimal program.
    pub(crate) floor: Option<Run>,
    /// Whether more is better.
    #[serde(default)]
    pub(crate) higher: bool,
    /// What we want: missing it needs a note.
    pub(crate) goal: Option<f64>,
    /// The same, as a multiple of the floor or of the first peer.
    pub(crate) of_floor: Option<f64>,
    pub(crate) of_peer: Option<f64>,
    /// What a promise allows: exceeding it is a failure.
    pub(crate) bound: Option<f64>,
    pub(crate) bound_of_floor: Option<f64>,
    pub(crate) bound_of_peer: Option<f64>,
    /// Whether the figure repeats, so that a rise over the stored one is a failure.
    #[serde(default)]
    pub(crate) gate: bool,
    /// What a reader has to know, and why a missed goal is missed.
    pub(crate) note: Option<String>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Each {
    /// The script, a path from `tests/measure`.
    script: String,
    /// Bounds of single rows.
    bounds: BTreeMap<String, f64>,
}

fn thousand() -> u32 {
    1000
}

/// A program and its arguments.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(crate) enum Run {
    Plain(String),
    Full(Full),
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Full {
    #[serde(default)]
    name: String,
    run: String,
    /// A program whose figure is subtracted: the caller's loop.
    less: Option<String>,
    /// Which of the printed figures it is, from 0.
    #[serde(default)]
    column: usize,
}

impl Run {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Plain(_) => "",
            Self::Full(full) => &full.name,
        }
    }

    pub(crate) fn command(&self) -> &str {
        match self {
            Self::Plain(command) => command,
            Self::Full(full) => &full.run,
        }
    }

    pub(crate) fn less(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Full(full) => full.less.as_deref(),
        }
    }

    pub(crate) fn column(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Full(full) => full.column,
        }
    }
}

impl Row {
    fn each(self, directory: &Path) -> Result<Vec<Self>, Box<dyn Error>> {
        let Some(each) = &self.each else { return Ok(vec![self]) };
        let output = Command::new(directory.join(&each.script)).output()?;
        let words = String::from_utf8(output.stdout)?;
        if let Some(unknown) =
            each.bounds.keys().find(|name| words.split_whitespace().all(|w| w != *name))
        {
            return Err(format!("{} does not print {unknown}", each.script).into());
        }
        let row = |word: &str| Self {
            measure: self.measure.replace("{}", word),
            ours: Run::Plain(self.ours.command().replace("{}", word)),
            bound: each.bounds.get(word).copied().or(self.bound),
            ..self.clone()
        };
        Ok(words.split_whitespace().map(row).collect())
    }

    /// The row without the references that are only for readers; `None` if nothing of it can fail.
    pub(crate) fn gate(&self) -> Option<Self> {
        let bound = self.bound.or(self.bound_of_floor).or(self.bound_of_peer);
        let mut row = self.clone();
        let has_peer = self.of_peer.or(self.bound_of_peer).is_some();
        row.peers.truncate(usize::from(has_peer));
        (self.gate || bound.is_some()).then_some(row)
    }

    /// What tells the row from others.
    pub(crate) fn key(&self) -> String {
        format!("{}, {}", self.measure, self.unit)
    }

    /// All that is run for the row, each under the name of its figure.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&str, &Run)> {
        let named = self.peers.iter().chain(&self.floor).map(|run| (run.name(), run));
        std::iter::once((OURS, &self.ours)).chain(named)
    }

    /// The words of all that is run for the row: programs, scripts and their arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let commands = self.runs().flat_map(|(_, run)| [Some(run.command()), run.less()]);
        commands.flatten().flat_map(str::split_whitespace)
    }

    pub(crate) fn ours(&self, figures: &Figures) -> Option<f64> {
        figures.get(self, OURS)
    }

    fn floor(&self, figures: &Figures) -> Option<f64> {
        figures.get(self, self.floor.as_ref()?.name())
    }

    fn peer(&self, figures: &Figures) -> Option<f64> {
        figures.get(self, self.peers.first()?.name())
    }

    fn limit(
        &self,
        figures: &Figures,
        fixed: Option<f64>,
        of_floor: Option<f64>,
        of_peer: Option<f64>,
    ) -> Option<f64> {
        let of_floor = || Some(of_floor? * self.floor(figures)?);
        let of_peer = || Some(of_peer? * self.peer(figures)?);
        fixed.or_else(of_floor).or_else(of_peer)
    }

    pub(crate) fn goal(&self, figures: &Figures) -> Option<f64> {
        self.limit(figures, self.goal, self.of_floor, self.of_peer)
    }

    pub(crate) fn bound(&self, figures: &Figures) -> Option<f64> {
        self.limit(figures, self.bound, self.bound_of_floor, self.bound_of_peer)
    }

    /// Whether a figure is as good as a limit.
    pub(crate) fn meets(&self, figure: f64, limit: f64) -> bool {
        if self.higher { figure >= limit } else { figure <= limit }
    }

    pub(crate) fn faults(&self, figures: &Figures) -> Vec<String> {
        let Some(ours) = self.ours(figures) else {
            return vec![format!("{}: not measured", self.measure)];
        };
        let mut faults = Vec::new();
        if let Some(bound) = self.bound(figures).filter(|bound| !self.meets(ours, *bound)) {
            faults.push(format!("{}: {ours} exceeds the bound {bound}", self.measure));
        }
        let missed = self.goal(figures).is_some_and(|goal| !self.meets(ours, goal));
        // A time may miss its goal by accident.
        if self.gate && missed && self.note.is_none() {
            faults.push(format!("{}: {ours} misses its goal, and no note says why", self.measure));
        }
        faults
    }
}

/// The name of our own figure of a row.
pub(crate) const OURS: &str = "ours";

/// The rows of all files, in the order of the files' names.
pub(crate) fn read(directory: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut paths = fs::read_dir(directory.join("rows"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut rows: Vec<Row> = Vec::new();
    for path in paths {
        let group = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let file: File = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        for mut row in file
            .row
            .into_iter()
            .map(|row| row.each(directory))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
        {
            let named = row.peers.iter().chain(&row.floor).all(|run| !run.name().is_empty());
            if !named || rows.iter().any(|other| other.key() == row.key()) {
                let why = "wants a name of its own, and one for each reference";
                return Err(format!("{}: {:?} {why}", path.display(), row.measure).into());
            }
            row.group.clone_from(&group);
            rows.push(row);
        }
    }
    Ok(rows)
}
