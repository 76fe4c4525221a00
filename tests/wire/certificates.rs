//! Certificates, made anew by each run: right ones, and wrong ones of each kind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Who issues certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, as `ssl.ca.location` names it.
    pub(super) file: PathBuf,
    dir: PathBuf,
}

/// A certificate and its key, in a file each, and in one file as Kafka wants it.
pub(super) struct Certificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) both: PathBuf,
}

impl Authority {
    pub(super) fn new(dir: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let file = write(dir, &format!("{name}.pem"), &params.self_signed(&key)?.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), file, dir: dir.to_owned() })
    }

    /// A certificate for these hosts, valid until far in the future.
    pub(super) fn issue(&self, name: &str, hosts: &[&str]) -> Result<Certificate> {
        self.sign(name, &params(name, hosts)?)
    }

    /// One that expired years ago.
    pub(super) fn issue_expired(&self, name: &str, hosts: &[&str]) -> Result<Certificate> {
        let mut params = params(name, hosts)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(name, &params)
    }

    fn sign(&self, name: &str, params: &CertificateParams) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        Ok(Certificate {
            certificate: write(&self.dir, &format!("{name}.crt"), &certificate)?,
            key: write(&self.dir, &format!("{name}.key"), &key)?,
            both: write(&self.dir, &format!("{name}.both"), &format!("{key}{certificate}"))?,
        })
    }
}

fn params(name: &str, hosts: &[&str]) -> Result<CertificateParams> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

pub(super) fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
