//! The command `starttls serve` as a process of its own, and the memory of processes.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{env, fs, thread};

pub type Failure = Box<dyn Error>;

/// The release build of the command: in the directory that `STARTTLS_PROGRAMS` names.
pub fn program() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release");
    env::var_os("STARTTLS_PROGRAMS").map_or_else(built, PathBuf::from).join("starttls")
}

pub struct Server {
    process: Child,
    pub port: u16,
    /// The file of its certificate authority.
    pub ca: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(directory) = self.ca.parent() {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

impl Server {
    pub fn start(program: &Path, more: &[&str]) -> Result<Self, Failure> {
        let mut process = Command::new(program)
            .args(["serve", "smtp", "--require-tls", "--max-per-peer", "20000"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut output = BufReader::new(process.stdout.take().ok_or("no output")?);
        let ca = line(&mut output)?;
        let ca = ca.strip_prefix("ca ").ok_or("no certificate")?.into();
        let listening = line(&mut output)?;
        let port = listening.rsplit(' ').next().ok_or("no port")?.parse()?;
        // A full pipe would keep the lines of mails in the server's memory.
        thread::spawn(move || output.read_to_end(&mut Vec::new()));
        Ok(Self { process, port, ca })
    }

    /// The private memory, in bytes.
    pub fn memory(&self) -> Result<usize, Failure> {
        field(&format!("/proc/{}/smaps_rollup", self.process.id()), "Private_Dirty:")
    }

    /// The peak of the memory so far, in bytes.
    pub fn peak(&self) -> Result<usize, Failure> {
        peak(&self.process)
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> Result<String, Failure> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// The peak of a running process's memory so far, in bytes.
pub fn peak(process: &Child) -> Result<usize, Failure> {
    field(&format!("/proc/{}/status", process.id()), "VmHWM:")
}

/// A field of a file of the kernel, in bytes.
fn field(path: &str, name: &str) -> Result<usize, Failure> {
    let file = fs::read_to_string(path)?;
    let line = file.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
    let kib: usize = line.split_whitespace().next().ok_or("no figure")?.parse()?;
    Ok(kib * 1024)
}
