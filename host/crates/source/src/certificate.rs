//! What is wrong with a broker's certificate. librdkafka says only that it "could not be verified": an expired one, one
//! for another host and one of an unknown authority look the same. This connects once more and looks.

use std::fmt::Write as _;
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509Ref, X509StoreContextRef, X509VerifyResult};

use crate::properties::Properties;

/// How long each step of the look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(3);
/// Names of a certificate that a message shows.
const NAMES_MAX: usize = 5;

// X509_V_ERR_…, of openssl/x509_vfy.h.
const NOT_YET_VALID: i32 = 9;
const HAS_EXPIRED: i32 = 10;
const OTHER_HOST: i32 = 62;
const OTHER_ADDRESS: i32 = 64;
/// The authority is unknown: unable to get issuer (2, locally 20), self-signed (18, in the chain 19), no leaf (21).
const UNKNOWN_AUTHORITY: [i32; 5] = [2, 18, 19, 20, 21];

/// The first problem that the verification met.
type Found = Arc<Mutex<Option<String>>>;

/// The problem with the certificate of the broker `host:port`; `None` if it has none, or could not be looked at.
pub(crate) fn problem(broker: &str, properties: &Properties) -> Option<String> {
    let (host, _) = broker.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = broker.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, LOOK_WITHIN).ok()?;
    stream.set_read_timeout(Some(LOOK_WITHIN)).ok()?;
    stream.set_write_timeout(Some(LOOK_WITHIN)).ok()?;
    let found = Found::default();
    let context = context(properties, host, &found).ok()?;
    let ssl = ssl(&context, host, properties).ok()?;
    match ssl.connect(stream) {
        // The client's own certificate is of no interest here: it is asked for after the broker's was verified.
        Ok(_) | Err(HandshakeError::SetupFailure(_) | HandshakeError::WouldBlock(_)) => None,
        Err(HandshakeError::Failure(_)) => {
            found.lock().unwrap_or_else(PoisonError::into_inner).take()
        }
    }
}

fn context(properties: &Properties, host: &str, found: &Found) -> Result<SslContext, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
    match (properties.get("ssl.ca.location"), properties.get("ssl.ca.pem")) {
        (Some(path), _) if Path::new(path).is_dir() => {
            context.load_verify_locations(None, Some(Path::new(path)))?;
        }
        (Some(path), _) => context.set_ca_file(path)?,
        (None, Some(pem)) => {
            for authority in X509::stack_from_pem(pem.as_bytes())? {
                context.cert_store_mut().add_cert(authority)?;
            }
        }
        (None, None) => context.set_default_verify_paths()?,
    }
    let (found, host) = (Arc::clone(found), host.to_owned());
    context.set_verify_callback(SslVerifyMode::PEER, move |is_verified, state| {
        if !is_verified {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.get_or_insert_with(|| describe(state, &host));
        }
        is_verified
    });
    Ok(context.build())
}

fn ssl(context: &SslContext, host: &str, properties: &Properties) -> Result<Ssl, ErrorStack> {
    let mut ssl = Ssl::new(context)?;
    let address: Option<IpAddr> = host.parse().ok();
    if address.is_none() {
        ssl.set_hostname(host)?;
    }
    if properties.get("ssl.endpoint.identification.algorithm") != Some("none") {
        match address {
            Some(address) => ssl.param_mut().set_ip(address)?,
            None => ssl.param_mut().set_host(host)?,
        }
    }
    Ok(ssl)
}

fn describe(state: &X509StoreContextRef, host: &str) -> String {
    let result = state.error();
    let Some(certificate) = state.current_cert() else { return result.error_string().to_owned() };
    let subject = name(certificate);
    match result.as_raw() {
        HAS_EXPIRED => format!(
            "the certificate of {subject} has expired on {}: renew it, at the broker or at the authority",
            certificate.not_after()
        ),
        NOT_YET_VALID => format!(
            "the certificate of {subject} is valid from {} on: check the clocks",
            certificate.not_before()
        ),
        OTHER_HOST | OTHER_ADDRESS => format!(
            "the certificate is for {}, not for {host}: give --brokers and advertised.listeners a name that it has, or \
             the broker a certificate with this name",
            hosts(certificate)
        ),
        raw if UNKNOWN_AUTHORITY.contains(&raw) => format!(
            "no authority that this program trusts vouches for the certificate of {subject} ({}): set \
             ssl.ca.location to the file of the authority that issued it",
            result.error_string()
        ),
        _ => other(result, &subject),
    }
}

fn other(result: X509VerifyResult, subject: &str) -> String {
    format!("the certificate of {subject} is not valid: {}", result.error_string())
}

/// `CN=name, O=organization` of a certificate.
fn name(certificate: &X509Ref) -> String {
    let mut name = String::new();
    for entry in certificate.subject_name().entries() {
        let key = entry.object().nid().short_name().unwrap_or("?");
        let value = entry.data().to_string().unwrap_or_default();
        let comma = if name.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(name, "{comma}{key}={value}");
    }
    if name.is_empty() { "(no name)".to_owned() } else { name }
}

/// The hosts that a certificate is for.
fn hosts(certificate: &X509Ref) -> String {
    let names = certificate.subject_alt_names();
    let host = |name: &openssl::x509::GeneralNameRef| {
        let address = name.ipaddress().and_then(|bytes| match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        });
        name.dnsname().map(ToOwned::to_owned).or_else(|| address.map(|one| one.to_string()))
    };
    let mut hosts: Vec<String> = names.iter().flatten().filter_map(host).collect();
    if hosts.is_empty() {
        return name(certificate);
    }
    let n_more = hosts.len().saturating_sub(NAMES_MAX);
    hosts.truncate(NAMES_MAX);
    let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
    format!("{}{more}", hosts.join(", "))
}
