//! The certificate of the API and TLS with it.
//!
//! **In:** two PEM files.
//! **Out:** a TLS configuration whose certificate is renewed when the files change.
//! **Not here:** connections ([`super::listen`]), who is asking ([`super::identity`]).

use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use super::answer::chain;
use super::{ApiError, TlsSettings};

/// The certificate in use, which changes with its files.
#[derive(Debug)]
pub(crate) struct Certificate {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    in_use: RwLock<(Arc<CertifiedKey>, Stamp)>,
}

/// Times and sizes of both files: when they differ, the files changed.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Reads certificate and key.
    pub(crate) fn read(settings: &TlsSettings) -> Result<Arc<Certificate>, ApiError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Before the files: a change in between is then noticed.
        let stamp = stamp(settings);
        let key = certified_key(settings, &provider)?;
        let settings = settings.clone();
        let in_use = RwLock::new((Arc::new(key), stamp));
        Ok(Arc::new(Certificate { settings, provider, in_use }))
    }

    /// TLS 1.2 and 1.3 with this certificate.
    pub(crate) fn server_config(self: &Arc<Certificate>) -> Result<ServerConfig, ApiError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|source| unusable(&self.settings, source))?;
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::<Certificate>::clone(self));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Reads the files again when they changed. What cannot be used is left
    /// alone and said in the log; the one before stays in use.
    pub(crate) fn renew(&self) {
        let found = stamp(&self.settings);
        let mut in_use = self.in_use.write().unwrap_or_else(PoisonError::into_inner);
        if found == in_use.1 {
            return;
        }
        let file = self.settings.certificate_file.display();
        // Also when it cannot be used: it is said once for each change.
        in_use.1 = found;
        match certified_key(&self.settings, &self.provider) {
            Ok(key) => {
                in_use.0 = Arc::new(key);
                info!(file = %file, "certificate of the API renewed");
            }
            Err(error) => {
                warn!(file = %file, error = %chain(&error), "certificate of the API not renewed");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let in_use = self.in_use.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&in_use.0))
    }
}

fn certified_key(
    settings: &TlsSettings,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ApiError> {
    let unreadable = |what, path: &Path| {
        let path = path.to_path_buf();
        move |source| ApiError::Pem { what, path, source }
    };
    let file = &settings.certificate_file;
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(unreadable("certificate", file))?;
    let file = &settings.key_file;
    let key = PrivateKeyDer::from_pem_file(file).map_err(unreadable("private key", file))?;
    // An empty list and a key of another certificate are refused here.
    CertifiedKey::from_der(certificates, key, provider).map_err(|it| unusable(settings, it))
}

fn unusable(settings: &TlsSettings, source: rustls::Error) -> ApiError {
    ApiError::Certificate {
        certificate: settings.certificate_file.clone(),
        key: settings.key_file.clone(),
        source,
    }
}

fn stamp(settings: &TlsSettings) -> Stamp {
    [&settings.certificate_file, &settings.key_file].map(|file| {
        let found = fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(settings: &TlsSettings) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&settings.certificate_file, made.cert.pem()).unwrap();
        fs::write(&settings.key_file, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    fn in_use(certificate: &Certificate) -> Vec<u8> {
        certificate.in_use.read().unwrap().0.end_entity_cert().unwrap().to_vec()
    }

    #[test]
    fn a_new_certificate_is_used_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let settings = TlsSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate_file: directory.path().join("certificate.pem"),
            key_file: directory.path().join("key.pem"),
        };
        let first = write(&settings);
        let certificate = Certificate::read(&settings).unwrap();
        certificate.renew();
        assert_eq!(in_use(&certificate), first);
        let second = write(&settings);
        certificate.renew();
        assert_eq!(in_use(&certificate), second);
        fs::write(&settings.key_file, "half of a k").unwrap();
        certificate.renew();
        assert_eq!(in_use(&certificate), second);
        let third = write(&settings);
        certificate.renew();
        assert_eq!(in_use(&certificate), third);
    }
}
