//! The figures of rows, as measured or as stored.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use crate::row::Row;

const FILE: &str = "figures.toml";

/// How far a figure may be worse than the stored one.
const TOLERANCE: f64 = 0.03;

/// Of each row, ours and the references' figures.
#[derive(Default)]
pub(crate) struct Figures(BTreeMap<String, BTreeMap<String, f64>>);

impl Figures {
    /// The stored figures; none where there is no file.
    pub(crate) fn read(directory: &Path) -> Result<Self, Box<dyn Error>> {
        match fs::read_to_string(directory.join(FILE)) {
            Ok(text) => Ok(Self(toml::from_str(&text).map_err(|e| format!("{FILE}: {e}"))?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{FILE}: {error}").into()),
        }
    }

    pub(crate) fn write(&self, directory: &Path) -> Result<(), Box<dyn Error>> {
        Ok(fs::write(directory.join(FILE), toml::to_string_pretty(&self.0)?)?)
    }

    pub(crate) fn get(&self, row: &Row, name: &str) -> Option<f64> {
        self.0.get(&row.key())?.get(name).copied()
    }

    pub(crate) fn insert(&mut self, row: &Row, name: &str, figure: f64) {
        self.0.entry(row.key()).or_default().insert(name.to_owned(), figure);
    }

    /// Takes over the figures of the rows that were measured.
    pub(crate) fn take(&mut self, measured: Self) {
        self.0.extend(measured.0);
    }

    /// Drops the figures of rows that are gone.
    pub(crate) fn keep_only(&mut self, rows: &[Row]) {
        self.0.retain(|name, _| rows.iter().any(|row| row.key() == *name));
    }

    /// What to say where a gated figure is worse than the stored one.
    pub(crate) fn rise(&self, row: &Row, measured: &Self) -> Option<String> {
        if !row.gate {
            return None;
        }
        let Some(stored) = row.ours(self) else {
            return Some(format!(
                "{}: no figure is stored: tests/measure/run --write",
                row.measure
            ));
        };
        let now = row.ours(measured)?;
        let limit = stored * if row.higher { 1.0 - TOLERANCE } else { 1.0 + TOLERANCE };
        (!row.meets(now, limit)).then(|| {
            let more = 100.0 * TOLERANCE;
            format!("{}: {now}, more than {more} % worse than the stored {stored}", row.measure)
        })
    }
}
