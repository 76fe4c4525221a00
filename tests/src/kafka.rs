//! Apache Kafka nodes (KRaft, broker and controller in one process; more brokers may join) that live as long as their
//! handles.
//!
//! Depends on std and anyhow alone, because `xtask` includes this file by path: it must not know a Kafka client.
//! Everything binds 127.0.0.1 and lies in the given folder. A test may therefore run many of them side by side.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// A start takes 2 to 5 seconds; the bound is for a machine under heavy load.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Any UUID will do: a folder never meets another cluster's.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";
/// What `start` sets unless the caller's properties say otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("controller.listener.names", "CONTROLLER"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    ("auto.create.topics.enable", "false"),
    ("default.replication.factor", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    // A killed node may register again once its old session has ended.
    ("broker.session.timeout.ms", "4000"),
    ("broker.heartbeat.interval.ms", "500"),
];

/// Where Java and Kafka's jars are.
#[derive(Debug, Clone)]
pub struct Install {
    /// The `java` program, 17 or later.
    pub java: PathBuf,
    /// A folder with `lib/*.jar`.
    pub home: PathBuf,
}

impl Install {
    fn java(&self, main_class: &str, options: &[&str]) -> Result<Vec<String>> {
        let jars = self.home.join("lib");
        ensure!(
            jars.is_dir(),
            "{} is not a folder; `cargo xtask real-parts` fetches Kafka",
            jars.display()
        );
        let mut line = vec![self.java.display().to_string()];
        line.extend(options.iter().map(ToString::to_string));
        line.extend(["-XX:+UseSerialGC", "-Djava.awt.headless=true"].map(String::from));
        line.push("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".into());
        line.push("-Dorg.slf4j.simpleLogger.showDateTime=true".into());
        line.extend(["-cp".into(), format!("{}/*", jars.display()), main_class.into()]);
        Ok(line)
    }
}

/// What a node has beside its plaintext listener.
#[derive(Debug, Default, Clone, Copy)]
pub struct Secured<'a> {
    pub listeners: &'a [Listener<'a>],
    /// Users of SCRAM: `SCRAM-SHA-512=[name=NAME,password=PASSWORD]`.
    pub scram: &'a [String],
}

/// One more port of a node.
#[derive(Debug, Clone, Copy)]
pub struct Listener<'a> {
    pub name: &'a str,
    /// `SSL`, `SASL_SSL` or `SASL_PLAINTEXT`.
    pub protocol: &'a str,
    pub port: u16,
}

/// A running node. Dropping it kills the process and leaves its folder.
#[derive(Debug)]
pub struct Kafka {
    install: Install,
    dir: PathBuf,
    port: u16,
    controller_port: u16,
    process: Process,
}

impl Kafka {
    /// Formats `dir` unless it holds a node already, starts the node and returns once it answers a metadata request.
    /// `port` 0 takes a free one. `props` (such as `message.max.bytes`) override the defaults above.
    /// The process also ends when this process does, however that happens.
    pub fn start(install: &Install, dir: &Path, port: u16, props: &[(&str, &str)]) -> Result<Self> {
        Self::launch(install, dir, port, props, &Secured::default(), Owner::ThisProcess)
    }

    /// [`Kafka::start`] with more listeners; `props` say how each is secured.
    pub fn start_secured(
        install: &Install,
        dir: &Path,
        secured: &Secured<'_>,
        props: &[(&str, &str)],
    ) -> Result<Self> {
        Self::launch(install, dir, 0, props, secured, Owner::ThisProcess)
    }

    /// Starts one more broker of this node's cluster. `node_id` is 2 or more.
    pub fn join(&self, dir: &Path, node_id: u16, props: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let voters = format!("1@127.0.0.1:{}", self.controller_port);
        let (node_id, listeners) = (node_id.to_string(), format!("PLAINTEXT://127.0.0.1:{port}"));
        let ours = [
            ("process.roles", "broker"),
            ("node.id", node_id.as_str()),
            ("controller.quorum.voters", voters.as_str()),
            ("listeners", listeners.as_str()),
        ];
        let props: Vec<_> = ours.iter().chain(props).copied().collect();
        Self::start(&self.install, dir, port, &props)
    }

    /// Loses partition 0 of a topic, as a broker whose disk was replaced. Only while the node is killed.
    pub fn lose(&self, topic: &str) -> Result<()> {
        let data = self.dir.join("data");
        let partition = data.join(format!("{topic}-0"));
        fs::remove_dir_all(&partition)
            .with_context(|| format!("cannot remove {}", partition.display()))?;
        for entry in fs::read_dir(&data).context("cannot list Kafka's data")? {
            let path = entry.context("cannot list Kafka's data")?.path();
            if path.to_string_lossy().ends_with("-checkpoint") {
                let cannot = || format!("cannot change {}", path.display());
                let text = fs::read_to_string(&path).with_context(cannot)?;
                fs::write(&path, without_topic(&text, topic)).with_context(cannot)?;
            }
        }
        Ok(())
    }

    /// Like `start`, but the node outlives this process. The caller must keep the process id.
    pub fn start_detached(
        install: &Install,
        dir: &Path,
        port: u16,
        props: &[(&str, &str)],
    ) -> Result<(u32, u16)> {
        let kafka = Self::launch(install, dir, port, props, &Secured::default(), Owner::Nobody)?;
        let (pid, port) = (kafka.pid(), kafka.port);
        std::mem::forget(kafka);
        Ok((pid, port))
    }

    fn launch(
        install: &Install,
        dir: &Path,
        port: u16,
        props: &[(&str, &str)],
        secured: &Secured<'_>,
        owner: Owner,
    ) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let dir =
            dir.canonicalize().with_context(|| format!("cannot resolve {}", dir.display()))?;
        let port = if port == 0 { free_port()? } else { free(port)? };
        let controller_port = free_port()?;
        let ports = ports(port, controller_port, secured.listeners);
        let ports = ports.iter().map(|(key, value)| (*key, value.as_str()));
        let props: Vec<_> = ports.chain(props.iter().copied()).collect();
        fs::write(dir.join("server.properties"), properties(&dir, controller_port, &props))
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        if !dir.join("data/meta.properties").exists() {
            format_storage(install, &dir, secured.scram)?;
        }
        let process = spawn(install, &dir, owner)?;
        let install = install.clone();
        let mut kafka = Self { install, dir, port, controller_port, process };
        kafka.wait_ready()?;
        Ok(kafka)
    }

    /// `host:port` for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// The node's own log: warnings and errors, plus whatever Java prints.
    pub fn log(&self) -> PathBuf {
        self.dir.join("kafka.log")
    }

    /// Kills the node as a crash does (SIGKILL). `restart` brings it back with its data.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts a killed node again: same folder, same ports, same properties.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = spawn(&self.install, &self.dir, Owner::ThisProcess)?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            // First, because another process may answer on the port that this one did not get.
            if let Some(status) = self.process.exited()? {
                bail!(
                    "Kafka ended with {status} before it was ready; its log ends with:\n{}",
                    tail(&self.log())
                );
            }
            if n_brokers(self.port).is_ok_and(|n| n > 0) {
                return Ok(());
            }
            if begin.elapsed() > READY_WITHIN {
                let log = tail(&self.log());
                bail!(
                    "Kafka did not answer within {READY_WITHIN:?} on {}; its log ends with:\n{log}",
                    self.bootstrap()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Who ends the node when its handle is never dropped.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    ThisProcess,
    Nobody,
}

/// The child, and the thread that keeps it alive.
///
/// Linux ends the child with the *thread* that started it (`setpriv --pdeathsig`). A test's thread ends before the
/// test binary does, so a thread of its own starts the child and stays until the handle is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    _keeper: mpsc::SyncSender<()>,
}

impl Process {
    fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for the state of the Kafka process")
    }

    fn kill(&mut self) -> Result<()> {
        if self.exited()?.is_none() {
            self.child.kill().context("cannot kill the Kafka process")?;
            self.child.wait().context("cannot wait for the end of the Kafka process")?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that cannot be killed has ended already.
        drop(self.kill());
    }
}

fn spawn(install: &Install, dir: &Path, owner: Owner) -> Result<Process> {
    let mut line = install.java("kafka.Kafka", &["-Xms256m", "-Xmx512m"])?;
    line.push(dir.join("server.properties").display().to_string());
    if owner == Owner::ThisProcess && Path::new("/usr/bin/setpriv").exists() {
        line.splice(0..0, ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"].map(String::from));
    }
    let log = File::options().create(true).append(true).open(dir.join("kafka.log"));
    let log = log.with_context(|| format!("cannot write to {}", dir.display()))?;
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).current_dir(dir).stdin(Stdio::null());
    command.stdout(log.try_clone().context("cannot share the log file")?).stderr(log);
    if owner == Owner::Nobody {
        // Ctrl-C in the terminal is not meant for it.
        command.process_group(0);
    }
    let (keeper, until_dropped) = mpsc::sync_channel::<()>(1);
    let (send, started) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("kafka-keeper".into())
        .spawn(move || {
            if send.send(command.spawn()).is_ok() {
                // Nothing is ever sent: the error that ends the loop says that the handle is gone.
                while until_dropped.recv().is_ok() {}
            }
        })
        .context("cannot start a thread")?;
    let child = started.recv().context("the thread that starts Kafka ended")?;
    let child = child.with_context(|| format!("cannot start {}", line[0]))?;
    Ok(Process { child, _keeper: keeper })
}

/// Writes the cluster's id into the data folder, which a new node needs before its first start.
fn format_storage(install: &Install, dir: &Path, scram: &[String]) -> Result<()> {
    let line = install.java("kafka.tools.StorageTool", &["-Xmx128m", "-XX:TieredStopAtLevel=1"])?;
    let output = Command::new(&line[0])
        .args(&line[1..])
        .args(["format", "--cluster-id", CLUSTER_ID, "--config"])
        .arg(dir.join("server.properties"))
        .args(scram.iter().flat_map(|user| ["--add-scram", user]))
        .current_dir(dir)
        .output()
        .with_context(|| format!("cannot start {}", line[0]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "Kafka's StorageTool failed with {}:\n{said}", output.status);
    Ok(())
}

/// The listeners of a node.
fn ports(port: u16, controller_port: u16, more: &[Listener<'_>]) -> [(&'static str, String); 3] {
    let mut clients = format!("PLAINTEXT://127.0.0.1:{port}");
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for Listener { name, protocol, port } in more {
        write!(clients, ",{name}://127.0.0.1:{port}").expect("writing to a String cannot fail");
        write!(protocols, ",{name}:{protocol}").expect("writing to a String cannot fail");
    }
    let all = format!("{clients},CONTROLLER://127.0.0.1:{controller_port}");
    [
        ("listeners", all),
        ("advertised.listeners", clients),
        ("listener.security.protocol.map", protocols),
    ]
}

fn properties(dir: &Path, controller_port: u16, props: &[(&str, &str)]) -> String {
    let owned = [
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller_port}")),
        ("log.dirs", dir.join("data").display().to_string()),
    ];
    let mut text = String::new();
    let all =
        DEFAULTS.iter().copied().chain(owned.iter().map(|(key, value)| (*key, value.as_str())));
    // Of two lines with one key the last counts.
    for (key, value) in all.chain(props.iter().copied()) {
        writeln!(text, "{key}={value}").expect("writing to a String cannot fail");
    }
    text
}

/// A checkpoint file (version, number of entries, `topic partition offset` lines) without those of one topic.
fn without_topic(text: &str, topic: &str) -> String {
    let mut lines = text.lines();
    let version = lines.next().unwrap_or("0");
    let others: Vec<_> =
        lines.skip(1).filter(|line| line.split(' ').next() != Some(topic)).collect();
    let mut text = format!("{version}\n{}\n", others.len());
    for line in others {
        writeln!(text, "{line}").expect("writing to a String cannot fail");
    }
    text
}

fn free(port: u16) -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot start Kafka on 127.0.0.1:{port}"))?;
    Ok(port)
}

/// A port that was free just now. Another process may take it first; Kafka's log then says so.
pub fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr().context("cannot read the port of a socket")?.port())
}

/// Asks the node for the cluster's brokers (Metadata v1, without topics): 1 or more mean that clients can work.
fn n_brokers(port: u16) -> Result<i32> {
    const METADATA_V1: &[u8] = &[0, 3, 0, 1];
    const CORRELATION: &[u8] = &[0, 0, 0, 7];
    const CLIENT_AND_NO_TOPICS: &[u8] = &[0, 5, b'x', b't', b'a', b's', b'k', 0, 0, 0, 0];
    let timeout = Duration::from_secs(1);
    let mut socket =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), timeout)?;
    socket.set_read_timeout(Some(timeout))?;
    let body = [METADATA_V1, CORRELATION, CLIENT_AND_NO_TOPICS].concat();
    socket.write_all(&[&u32::try_from(body.len())?.to_be_bytes()[..], &body].concat())?;
    // Size, correlation id, number of brokers.
    let mut head = [0; 12];
    socket.read_exact(&mut head)?;
    ensure!(&head[4..8] == CORRELATION, "an answer to another request");
    Ok(i32::from_be_bytes([head[8], head[9], head[10], head[11]]))
}

/// The last lines of a file, for an error.
fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
