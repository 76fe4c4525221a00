//! What a plugin asks for, and what it got, as text.

use crate::abi::wasi::cli::{environment, exit, stdout};
use crate::abi::wasi::clocks::{monotonic_clock, wall_clock};
use crate::abi::wasi::filesystem::preopens;
use crate::abi::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use crate::abi::wasi::random::random;
use crate::abi::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use crate::abi::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket};

pub(crate) type Try = fn() -> String;

const TRIES: &[(&str, Try)] = &[
    ("nothing", || "asked for nothing".to_owned()),
    ("preopens", preopened),
    ("open-file", open_file),
    ("environment", variables),
    ("tcp", connect),
    ("resolve", resolve),
    ("wall-clock", now),
    ("monotonic", monotonic),
    ("random", randomness),
    ("stdout", print),
    ("sleep", sleep),
    ("exit", exit_ok),
    ("exit-error", exit_error),
];

const HOUR_NS: u64 = 3_600_000_000_000;
const RANDOM_BYTES: u64 = 16;

pub(crate) fn find(name: &str) -> Option<Try> {
    TRIES.iter().find(|(known, _)| *known == name).map(|(_, wanted)| *wanted)
}

fn preopened() -> String {
    format!("{} folders", preopens::get_directories().len())
}

fn open_file() -> String {
    let folders = preopens::get_directories();
    let Some((folder, _)) = folders.first() else {
        return "no folder to open a file in".to_owned();
    };
    let opened = folder.open_at(
        PathFlags::SYMLINK_FOLLOW,
        "../etc/passwd",
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    match opened {
        Ok(_) => "opened a file".to_owned(),
        Err(code) => format!("no file: {}", code.name()),
    }
}

fn variables() -> String {
    format!(
        "{} variables, {} arguments, folder {:?}",
        environment::get_environment().len(),
        environment::get_arguments().len(),
        environment::initial_cwd()
    )
}

/// To the discard port of this machine: no test must reach another.
fn connect() -> String {
    let network = instance_network::instance_network();
    let socket = match tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(code) => return format!("no socket: {}", code.name()),
    };
    let address = Ipv4SocketAddress { port: 9, address: (127, 0, 0, 1) };
    if let Err(code) = socket.start_connect(&network, IpSocketAddress::Ipv4(address)) {
        return format!("no connection: {}", code.name());
    }
    socket.subscribe().block();
    match socket.finish_connect() {
        Ok(_) => "connected".to_owned(),
        Err(code) => format!("allowed to connect, and failed: {}", code.name()),
    }
}

/// A name that every machine knows without asking another.
fn resolve() -> String {
    let network = instance_network::instance_network();
    let stream = match ip_name_lookup::resolve_addresses(&network, "localhost") {
        Ok(stream) => stream,
        Err(code) => return format!("no look-up: {}", code.name()),
    };
    stream.subscribe().block();
    match stream.resolve_next_address() {
        Ok(address) => format!("resolved: {address:?}"),
        Err(code) => format!("no address: {}", code.name()),
    }
}

fn now() -> String {
    let now = wall_clock::now();
    format!("{}.{:09} s", now.seconds, now.nanoseconds)
}

fn monotonic() -> String {
    format!("{} ns", monotonic_clock::now())
}

fn randomness() -> String {
    let bytes = random::get_random_bytes(RANDOM_BYTES);
    let digit = |bits: u8| char::from_digit(bits.into(), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn print() -> String {
    let line = b"a plugin wrote this to standard output\n";
    match stdout::get_stdout().blocking_write_and_flush(line) {
        Ok(()) => "written".to_owned(),
        Err(error) => format!("not written: {error:?}"),
    }
}

/// Waits in the host, where no deadline of the guest's own code reaches.
fn sleep() -> String {
    monotonic_clock::subscribe_duration(HOUR_NS).block();
    "slept for an hour".to_owned()
}

fn exit_ok() -> String {
    exit::exit(Ok(()));
    "went on after exit".to_owned()
}

fn exit_error() -> String {
    exit::exit(Err(()));
    "went on after exit".to_owned()
}
