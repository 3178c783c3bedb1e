//! Tokens, passwords and certificates towards Prometheus.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_daemon::prometheus::BasicAuth;
use evenkeel_testbed::prometheus::{Options, PASSWORD, USER};
use evenkeel_testbed::{Proxy, wait_until};
use expect_test::expect;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{LIMIT, documents, observe, shown, source, source_with, target, vector};

#[tokio::test]
async fn a_token_is_sent_and_read_anew_when_it_changes() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "first-token\n").unwrap();
    let proxy = Proxy::without_upstream();
    proxy.answer("load", 10, 200, vector(&[("a", "7")], 0));
    proxy.require_header("authorization", "Bearer first-token");
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let source = source_with(&proxy.url(), |it| it.bearer_token_file = Some(file.clone()));
    assert_eq!(shown(&observe(&source, &documents).await), "a rps: good 7\n");

    proxy.require_header("authorization", "Bearer second-token");
    expect![[r#"
        a rps: missing: policy `web`, signal `rps`: answered HTTP 401 without an error of prometheus; check the token or password and its rights
    "#]].assert_eq(&shown(&observe(&source, &documents).await));

    fs::write(&file, "second-token").unwrap();
    assert_eq!(shown(&observe(&source, &documents).await), "a rps: good 7\n");

    for (text, expected) in [("", "it is empty"), ("a\nb", "it does not fit into one line")] {
        fs::write(&file, text).unwrap();
        let lines = shown(&observe(&source, &documents).await);
        assert!(lines.contains("cannot read the secret in `"), "{lines}");
        assert!(lines.trim_end().ends_with(expected), "{lines}");
    }
    fs::remove_file(&file).unwrap();
    let lines = shown(&observe(&source, &documents).await);
    assert!(lines.contains("No such file"), "{lines}");
}

#[tokio::test]
async fn a_token_is_in_no_message_even_when_the_server_repeats_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "s3cret-token").unwrap();
    let proxy = Proxy::without_upstream();
    let body = r#"{"status":"error","errorType":"bad_data","error":"who is s3cret-token?"}"#;
    proxy.answer("load", 1, 403, body);
    let documents = documents([target("a", None)], &[("rps", "load")]);
    let source = source_with(&proxy.url(), |it| it.bearer_token_file = Some(file));
    let observed = observe(&source, &documents).await;
    let everything = format!("{observed:?} {source:?} {}", shown(&observed));
    assert!(everything.contains("who is [hidden]?"), "{everything}");
    assert!(!everything.contains("s3cret"), "{everything}");
}

#[tokio::test]
async fn a_login_is_made_with_user_and_password() {
    let folder = TempDir::new().unwrap();
    let password_file = folder.path().join("password");
    fs::write(&password_file, PASSWORD).unwrap();
    let prometheus = Options::new().login().start();
    source(prometheus.url()).ready().await.unwrap_err();
    let auth = BasicAuth { user: USER.to_owned(), password_file: password_file.clone() };
    let source = source_with(prometheus.url(), |it| it.basic_auth = Some(auth));
    source.ready().await.unwrap();
    fs::write(&password_file, "wrong").unwrap();
    let error = source.ready().await.unwrap_err().to_string();
    expect!["answered HTTP 401 without an error of prometheus; check the token or password and its rights"].assert_eq(&error);
}

#[tokio::test]
async fn only_a_certificate_of_the_given_authority_is_trusted() {
    let prometheus = Options::new().tls().start();
    let ours = prometheus.certificate_file();
    source_with(prometheus.url(), |it| it.ca_file = Some(ours)).ready().await.unwrap();

    let folder = TempDir::new().unwrap();
    let other = folder.path().join("other.pem");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&other, made.cert.pem()).unwrap();
    for ca_file in [Some(other), None] {
        let source = source_with(prometheus.url(), |it| it.ca_file = ca_file);
        let error = source.ready().await.unwrap_err().to_string();
        assert!(error.starts_with("cannot reach prometheus: "), "{error}");
        assert!(error.contains("invalid peer certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_file_that_is_none_is_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let refused = |file: PathBuf| {
        let mut settings = evenkeel_daemon::prometheus::PrometheusSettings::new("https://metrics");
        settings.ca_file = Some(file);
        evenkeel_daemon::prometheus::PrometheusSource::new(settings).unwrap_err().to_string()
    };
    assert!(refused(file.clone()).starts_with("cannot read `"));
    for text in ["", "no pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        fs::write(&file, text).unwrap();
        let shown = refused(file.clone());
        assert!(shown.ends_with("(ca_file) holds no PEM of that kind"), "{shown}");
    }
}

/// An authority, and what it signed for `name`: certificate and key in PEM.
struct Signed {
    certificate: String,
    key: String,
}

fn sign(authority: &CertifiedIssuer<'_, KeyPair>, name: &str) -> Signed {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Signed { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Serves `body` over TLS to whoever shows a certificate of `authority`.
async fn serve_mutual(authority: &CertifiedIssuer<'_, KeyPair>, body: String) -> SocketAddr {
    let own = sign(authority, "127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let key = KeyPair::from_pem(&own.key).unwrap().serialize_der();
    use rustls_pki_types::pem::PemObject as _;
    let certificate =
        rustls_pki_types::CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(body.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_one_is_set() {
    let (ours, stranger) = (authority(), authority());
    let address = serve_mutual(&ours, vector(&[("a", "7")], 0)).await;
    let url = format!("https://{address}");
    let folder = TempDir::new().unwrap();
    let ca = write(folder.path(), "ca.pem", &ours.pem());
    let with = |signed: &Signed, name: &str| {
        let certificate = write(folder.path(), &format!("{name}.pem"), &signed.certificate);
        let key = write(folder.path(), &format!("{name}.key"), &signed.key);
        source_with(&url, |it| {
            it.ca_file = Some(ca.clone());
            it.client_certificate_file = Some(certificate);
            it.client_key_file = Some(key);
        })
    };
    with(&sign(&ours, "evenkeel"), "ours").ready().await.unwrap();
    with(&sign(&stranger, "evenkeel"), "stranger").ready().await.unwrap_err();
    source_with(&url, |it| it.ca_file = Some(ca.clone())).ready().await.unwrap_err();
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_a_token() {
    let folder = TempDir::new().unwrap();
    let file = write(folder.path(), "token", "s3cret-token");
    let elsewhere = Proxy::without_upstream();
    let proxy = Proxy::without_upstream();
    let location = format!("{}/api/v1/query", elsewhere.url());
    proxy.answer_with_headers("query", 1, 307, &[("location", &location)], "");
    let source = source_with(&proxy.url(), |it| it.bearer_token_file = Some(file));
    let error = source.ready().await.unwrap_err().to_string();
    assert!(error.contains("HTTP 307"), "{error}");
    wait_until(LIMIT, "the only request", || proxy.count_matching("") == 1);
    assert_eq!(elsewhere.count_matching(""), 0);
}
