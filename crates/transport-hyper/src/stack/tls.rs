//! TLS: whom to trust, and which implementation of the cryptography does the work.

use std::{
    env,
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CipherSuite, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_native_certs::{CertificateResult, ErrorKind};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    connect::ConnectError,
    stream::Stream,
    trust::{self, Verifier},
};

/// Ciphertext waits here for the socket. The default of 64 KiB makes more, smaller writes; from 256 KiB on the
/// allocator hands the memory back to the system after every write, which costs more than it saves.
const CIPHERTEXT_BUFFER: usize = 128 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;

/// The implementation of TLS's cryptography. Which of them exist depends on the crate's features of the same names.
///
/// ```
/// use partwise_transport_hyper::stack::{CryptoProvider, Stack, StackOptions};
///
/// let stack = Stack::new(StackOptions::new().crypto(CryptoProvider::default()));
/// # drop(stack);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoProvider {
    /// `ring`: the faster of the two on processors without AVX-512. The default when it is compiled in.
    #[cfg(feature = "ring")]
    Ring,
    /// `aws-lc-rs`, which has a FIPS-validated form and wide code for processors with AVX-512.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
}

#[cfg_attr(feature = "ring", allow(clippy::derivable_impls, reason = "the default depends on the features"))]
impl Default for CryptoProvider {
    fn default() -> Self {
        #[cfg(feature = "ring")]
        return Self::Ring;
        #[cfg(not(feature = "ring"))]
        return Self::AwsLcRs;
    }
}

impl CryptoProvider {
    fn provider(self) -> rustls::crypto::CryptoProvider {
        let mut provider = match self {
            #[cfg(feature = "ring")]
            Self::Ring => rustls::crypto::ring::default_provider(),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => rustls::crypto::aws_lc_rs::default_provider(),
        };
        // AES-128 first, as browsers have it: where a processor has no wide AES, AES-256 costs a client that uploads some
        // 10 % more. A service that prefers another suite still gets it.
        provider.cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), !is_aes_128(suite.suite())));
        provider
    }
}

fn is_aes_128(suite: CipherSuite) -> bool {
    use CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS13_AES_128_GCM_SHA256,
    };
    matches!(
        suite,
        TLS13_AES_128_GCM_SHA256
            | TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

/// Certificates cannot be trusted as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The text holds something that is no certificate.
    #[error("the CA certificates cannot be read as PEM")]
    Pem(#[source] BoxError),
    /// The text holds no certificate at all.
    #[error("there is no certificate in the given CA certificates: they must be in PEM format")]
    NoneGiven,
    /// A certificate is there but is not one of a CA.
    #[error("a given CA certificate cannot be used")]
    Unusable(#[source] BoxError),
    /// Neither the system nor the caller names anyone to trust.
    #[error(
        "no trusted certificates were found on this system: install them, or name a file of them in SSL_CERT_FILE"
    )]
    NoneFound(#[source] Option<BoxError>),
    /// The file that `SSL_CERT_FILE` names cannot be read.
    #[error("the trusted certificates in {}, which SSL_CERT_FILE names, cannot be read", file.display())]
    NamedFile {
        /// The file.
        file: PathBuf,
        /// What the system said, or where the file is no PEM.
        source: BoxError,
    },
    /// The file that `SSL_CERT_FILE` names holds no certificate, and nobody else is trusted.
    #[error("there is no certificate in {}, which SSL_CERT_FILE names: it must be in PEM format", file.display())]
    NoneInNamedFile {
        /// The file.
        file: PathBuf,
    },
    /// The cryptography does not offer what TLS needs.
    #[error("the TLS implementation cannot be set up")]
    Provider(#[source] BoxError),
}

/// The certificates of a PEM text.
pub(super) fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CertificateError::Pem(error.into()))?;
    if certificates.is_empty() {
        return Err(CertificateError::NoneGiven);
    }
    // Whether each can be trusted at all is found out now, where the mistake is, and not at the first connection.
    let mut probe = RootCertStore::empty();
    certificates
        .iter()
        .try_for_each(|certificate| probe.add(certificate.clone()))
        .map_err(|error| CertificateError::Unusable(error.into()))?;
    Ok(certificates)
}

/// Trusts what the system trusts (or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead) and `extra`. Reads files.
pub(super) fn connector(
    provider: CryptoProvider,
    extra: &[CertificateDer<'static>],
) -> Result<TlsConnector, CertificateError> {
    let named = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let (roots, trusted) = roots(named.as_deref(), rustls_native_certs::load_native_certs, extra)?;
    let provider = Arc::new(provider.provider());
    let verifier = Verifier::new(roots, trusted, provider.clone())
        .map_err(|error| CertificateError::Provider(error.into()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| CertificateError::Provider(error.into()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Who is trusted, and the certificates that say so. `load` reads what the system trusts, or the file `named` and more.
fn roots(
    named: Option<&Path>,
    load: impl FnOnce() -> CertificateResult,
    extra: &[CertificateDer<'static>],
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), CertificateError> {
    if let Some(file) = named {
        // Read by itself, since not every error that `load` tells says which file it is about.
        let errors = rustls_native_certs::load_certs_from_paths(Some(file), None).errors;
        if let Some(error) = errors.into_iter().next() {
            return Err(CertificateError::NamedFile { file: file.to_owned(), source: cause(error) });
        }
    }
    let CertificateResult { mut certs, errors, .. } = load();
    certs.extend_from_slice(extra);
    let mut roots = RootCertStore::empty();
    // System stores hold odd certificates, and none of them is a reason to trust nobody.
    roots.add_parsable_certificates(certs.iter().cloned());
    let mut errors = errors.into_iter();
    let first = if roots.is_empty() { errors.next() } else { None };
    for error in errors {
        tracing::warn!(%error, "trusted certificates that cannot be read are left out");
    }
    match (roots.is_empty(), named, first) {
        (false, ..) => Ok((roots, certs)),
        (true, Some(file), None) => Err(CertificateError::NoneInNamedFile { file: file.to_owned() }),
        // As text, since this error says its cause both itself and as its source.
        (true, _, first) => Err(CertificateError::NoneFound(first.map(|error| error.to_string().into()))),
    }
}

/// What is wrong with a file whose path is known.
fn cause(error: rustls_native_certs::Error) -> BoxError {
    match error.kind {
        ErrorKind::Io { inner, .. } => inner.into(),
        ErrorKind::Pem(error) => error.into(),
        ErrorKind::Os(error) => error,
        _ => error.context.into(),
    }
}

/// Starts TLS on an open stream.
pub(super) async fn handshake(
    connector: &TlsConnector,
    host: &str,
    stream: Stream,
) -> Result<TlsStream<Stream>, ConnectError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|source| ConnectError::Tls {
        host: host.to_owned(),
        source: TlsError::Name(source.into()),
    })?;
    let mut stream = connector
        .connect(name, stream)
        .await
        .map_err(|source| ConnectError::Tls { host: host.to_owned(), source: TlsError::of(source) })?;
    stream.get_mut().1.set_buffer_limit(Some(CIPHERTEXT_BUFFER));
    Ok(stream)
}

/// Why TLS did not come about, in words for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The host cannot stand in a certificate.
    #[error("the host's name cannot stand in a certificate")]
    Name(#[source] BoxError),
    /// What answers there is not TLS.
    #[error("what listens there does not speak TLS: is it an http:// address?")]
    NotTls,
    /// Nobody we trust has signed the certificate.
    #[error(
        "its certificate is signed by nobody that is trusted here: give the CA's certificate if you trust it"
    )]
    UnknownIssuer,
    /// The certificate is that of a CA, and not trusted itself.
    #[error(
        "its certificate is that of a CA, and none that is trusted here: give it as a CA's certificate if you trust it"
    )]
    CaCertificate,
    /// The certificate is for another host.
    #[error("its certificate is for another host")]
    OtherHost,
    /// The certificate names its hosts nowhere, or in its common name alone, which nobody reads any more.
    #[error("its certificate has no subject alternative name, which is where the names of its hosts must be")]
    NoAlternativeName,
    /// The certificate is too old, or not valid yet.
    #[error("its certificate is not valid at this time: it has expired, or a clock is wrong")]
    OutOfDate,
    /// Any other objection to the certificate or the handshake.
    #[error(transparent)]
    Refused(BoxError),
    /// The connection broke during the handshake.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
}

impl TlsError {
    fn of(error: io::Error) -> Self {
        use rustls::{CertificateError as Bad, Error as Rustls, InvalidMessage};

        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<Rustls>());
        match cause {
            Some(Rustls::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::NotTls,
            // A signature that does not fit comes from an authority of the same name, such as one that was made anew.
            Some(Rustls::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature)) => Self::UnknownIssuer,
            Some(Rustls::InvalidCertificate(Bad::NotValidForNameContext { presented, .. }))
                if presented.is_empty() =>
            {
                Self::NoAlternativeName
            }
            Some(Rustls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. })) => {
                Self::OtherHost
            }
            Some(Rustls::InvalidCertificate(
                Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
            )) => Self::OutOfDate,
            Some(other) if trust::is_of_ca(other) => Self::CaCertificate,
            Some(other) => Self::Refused(other.clone().into()),
            None => Self::Broken(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

    use std::fs;

    use rustls::SupportedCipherSuite;
    use rustls_native_certs::load_certs_from_paths;

    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().pem()
    }

    /// What comes of `file` in `SSL_CERT_FILE` and `folder` in `SSL_CERT_DIR`.
    fn trusted(file: &Path, folder: Option<&Path>) -> Result<RootCertStore, CertificateError> {
        Ok(roots(Some(file), || load_certs_from_paths(Some(file), folder), &[])?.0)
    }

    #[test]
    fn a_missing_file_of_trusted_certificates_is_named_even_when_a_folder_has_some() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority()).unwrap();
        let missing = folder.path().join("missing.pem");
        for folder in [None, Some(folder.path())] {
            let error = trusted(&missing, folder).unwrap_err();
            let expected = format!(
                "the trusted certificates in {}, which SSL_CERT_FILE names, cannot be read",
                missing.display()
            );
            assert_eq!(error.to_string(), expected);
            let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
            assert_eq!(cause.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_file_of_trusted_certificates_that_is_no_pem_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.der");
        fs::write(&file, "no certificate").unwrap();
        assert_eq!(
            trusted(&file, None).unwrap_err().to_string(),
            format!(
                "there is no certificate in {}, which SSL_CERT_FILE names: it must be in PEM format",
                file.display()
            )
        );
        fs::write(&file, "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n").unwrap();
        let error = trusted(&file, None).unwrap_err();
        assert!(matches!(error, CertificateError::NamedFile { .. }), "{error}");
    }

    #[test]
    fn a_system_whose_certificates_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = roots(None, || load_certs_from_paths(None, Some(&missing)), &[]).unwrap_err();
        assert!(matches!(error, CertificateError::NoneFound(_)), "{error}");
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains(&missing.display().to_string()), "{cause}");
    }

    #[test]
    fn certificates_that_can_be_read_are_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        fs::write(&file, authority()).unwrap();
        assert_eq!(trusted(&file, None).unwrap().len(), 1);
    }

    #[test]
    fn the_cheapest_suite_comes_first_and_none_is_missing() {
        let provider = CryptoProvider::default().provider();
        let suites: Vec<_> = provider.cipher_suites.iter().map(SupportedCipherSuite::suite).collect();
        assert_eq!(
            suites[..2],
            [CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS13_AES_256_GCM_SHA384]
        );
        assert_eq!(suites[3], CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
        assert_eq!(suites.len(), 9);
    }
}
