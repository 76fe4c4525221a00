//! Where and when figures were taken: without it they say nothing.

use std::fmt;
use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::context::Context;
use crate::run;

/// More work than this waits on a machine that is not idle.
const LOAD_MAX: f64 = 1.0;

pub(super) struct Machine {
    date: String,
    commit: String,
    cpu: String,
    n_cores: usize,
    memory_gib: f64,
    kernel: String,
    /// Over one, five and fifteen minutes, before the benchmark.
    load: [f64; 3],
}

impl Machine {
    pub(super) fn look(ctx: &Context) -> Result<Self> {
        let cpu = read("/proc/cpuinfo")?;
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = read("/proc/meminfo")?;
        let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let memory = memory.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        let load = read("/proc/loadavg")?;
        let mut load = load.split_whitespace().filter_map(|number| number.parse().ok());
        let mut git = Command::new("git");
        git.current_dir(&ctx.root).args(["describe", "--always", "--dirty"]);
        let date = run::output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
        Ok(Self {
            date: date.trim().to_owned(),
            commit: run::output(&mut git)
                .map_or("unknown".to_owned(), |name| name.trim().to_owned()),
            cpu: cpu.map_or("unknown CPU", |(_, name)| name.trim()).to_owned(),
            n_cores: thread::available_parallelism().map_or(1, Into::into),
            memory_gib: memory.unwrap_or_default() / f64::from(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load: std::array::from_fn(|_| load.next().unwrap_or_default()),
        })
    }

    pub(super) fn warn_if_busy(&self) {
        if self.load[0] > LOAD_MAX {
            println!(
                "xtask: bench: the load average is {:.2}: something else runs here, and figures will be \
                 too low; wait until it is below {LOAD_MAX}",
                self.load[0]
            );
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "date": self.date,
            "commit": self.commit,
            "cpu": self.cpu,
            "cores": self.n_cores,
            "memory_gib": (self.memory_gib * 10.0).round() / 10.0,
            "kernel": self.kernel,
            "load_average_before": self.load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, five, fifteen] = self.load;
        write!(
            out,
            "Machine: {}, {} cores, {:.1} GiB, Linux {}; load average before: {one:.2} {five:.2} \
             {fifteen:.2}\nDate: {}; commit {}",
            self.cpu, self.n_cores, self.memory_gib, self.kernel, self.date, self.commit
        )
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}
