//! TLS: whom to trust, and which implementation of the cryptography does the work.

use std::{error::Error, io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{connect::ConnectError, stream::Stream};

/// Ciphertext waits here for the socket. The default of 64 KiB makes more, smaller writes; from 256 KiB on the
/// allocator hands the memory back to the system after every write, which costs more than it saves.
const CIPHERTEXT_BUFFER: usize = 128 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;

/// The implementation of TLS's cryptography. Which of them exist depends on the crate's features of the same names.
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
        match self {
            #[cfg(feature = "ring")]
            Self::Ring => rustls::crypto::ring::default_provider(),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => rustls::crypto::aws_lc_rs::default_provider(),
        }
    }
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
    NoneFound,
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
    let mut roots = RootCertStore::empty();
    // System stores hold odd certificates, and none of them is a reason to trust nobody.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots.add_parsable_certificates(extra.iter().cloned());
    if roots.is_empty() {
        return Err(CertificateError::NoneFound);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider.provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| CertificateError::Provider(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
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
    /// The certificate is for another host.
    #[error("its certificate is for another host")]
    OtherHost,
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
            Some(Rustls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. })) => {
                Self::OtherHost
            }
            Some(Rustls::InvalidCertificate(
                Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
            )) => Self::OutOfDate,
            Some(other) => Self::Refused(other.clone().into()),
            None => Self::Broken(error),
        }
    }
}
