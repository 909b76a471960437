//! TLS: who is trusted, and what people are told when nobody is.

use http::StatusCode;
use partwise::{
    Client,
    stack::{CertificateError, CryptoProvider, StackOptions},
};
use partwise_protocol::{Api, Dialect, operations::RetrieveFile, transport::FailureKind};
use partwise_testkit::{
    certificates::{Authority, acceptor},
    errors::line,
    http1::{answer, answer_all, read_head, read_request},
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, KeyPair};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::peer::{A_FILE, A_PART, MIB, Peer, client, options, part, tls_peer};

pub(crate) fn https(peer: &Peer) -> Api {
    Api::with_base(&format!("https://localhost:{}/v1", peer.address.port()), Dialect::OpenAi).unwrap()
}

pub(crate) fn trusting(authority: &Authority) -> StackOptions {
    options().trust_ca_pem(authority.pem().as_bytes()).unwrap()
}

async fn secure_peer(acceptor: TlsAcceptor) -> Peer {
    tls_peer(acceptor, |stream| answer_all(stream, A_FILE)).await
}

async fn refused(client: &Client) -> String {
    let error = client.call(&RetrieveFile::new("file-1")).await.unwrap_err();
    assert_eq!(error.failure(), Some(FailureKind::Unsent), "what is refused now is refused a moment later");
    line(&error)
}

#[tokio::test]
async fn a_body_arrives_whole_from_whoever_an_authority_of_ours_has_signed() {
    let providers = [
        #[cfg(feature = "ring")]
        CryptoProvider::Ring,
        #[cfg(feature = "aws-lc-rs")]
        CryptoProvider::AwsLcRs,
    ];
    let authority = Authority::new();
    for provider in providers {
        let (seen, mut received) = mpsc::unbounded_channel();
        let peer = tls_peer(authority.acceptor("localhost"), move |mut stream| {
            let seen = seen.clone();
            async move {
                let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                while let Some((_, body)) = read_request(&mut stream).await {
                    seen.send((protocol.clone(), body)).unwrap();
                    answer(&mut stream, 200, "", A_PART).await;
                }
            }
        })
        .await;
        let client = client(https(&peer), trusting(&authority).crypto(provider));
        let content: bytes::Bytes = (0..5 * MIB).map(|index| (index % 251) as u8).collect();
        for _ in 0..3 {
            client.call_with(&part(5 * MIB), content.clone()).await.unwrap();
            let (protocol, body) = received.recv().await.unwrap();
            assert_eq!(protocol.as_deref(), Some(b"http/1.1".as_slice()));
            let start = body.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            assert!(body[start..].starts_with(&content), "the content is not what was sent");
        }
        assert_eq!(peer.accepted(), 1);
    }
}

#[tokio::test]
async fn an_authority_that_nobody_trusts_is_refused() {
    let peer = secure_peer(Authority::new().acceptor("localhost")).await;
    let client = client(https(&peer), trusting(&Authority::new()));
    assert_eq!(
        refused(&client).await,
        "the request could not be sent: no TLS with localhost: its certificate is signed by nobody that is trusted \
         here: give the CA's certificate if you trust it"
    );
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let peer = secure_peer(authority.acceptor("other.example")).await;
    assert_eq!(
        refused(&client(https(&peer), trusting(&authority))).await,
        "the request could not be sent: no TLS with localhost: its certificate is for another host"
    );
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused() {
    let authority = Authority::new();
    let mut expired = CertificateParams::new(["localhost".to_owned()]).unwrap();
    expired.not_before = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2001, 9, 9);
    let peer = secure_peer(authority.acceptor_with(&expired)).await;
    assert_eq!(
        refused(&client(https(&peer), trusting(&authority))).await,
        "the request could not be sent: no TLS with localhost: its certificate is not valid at this time: it has \
         expired, or a clock is wrong"
    );
}

/// A certificate that nobody has signed but its own key.
struct SelfSigned {
    certificate: Certificate,
    key: KeyPair,
}

impl SelfSigned {
    fn new(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), key }
    }

    /// The certificate, to be trusted.
    fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// TLS with this certificate.
    fn acceptor(&self) -> TlsAcceptor {
        acceptor(&self.certificate, &self.key)
    }
}

/// A self-signed certificate for this name, as tools make them: of a CA, expressly of none, or without a word of it.
fn self_signed(name: &str) -> [CertificateParams; 3] {
    [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa, IsCa::NoCa].map(|is_ca| {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = is_ca;
        params.distinguished_name.push(DnType::CommonName, "gateway");
        params
    })
}

fn trusting_this(certificate: &SelfSigned) -> StackOptions {
    options().trust_ca_pem(certificate.pem().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_certificate_that_is_trusted_itself_needs_no_authority() {
    for params in self_signed("localhost") {
        let certificate = SelfSigned::new(&params);
        let peer = secure_peer(certificate.acceptor()).await;
        let client = client(https(&peer), trusting_this(&certificate));
        let file = client.call(&RetrieveFile::new("file-1")).await;
        assert_eq!(file.unwrap_or_else(|error| panic!("{}", line(&error))).id, "file-1");
    }
}

#[tokio::test]
async fn a_certificate_that_is_trusted_itself_is_still_for_its_host_alone() {
    for params in self_signed("other.example") {
        let certificate = SelfSigned::new(&params);
        let peer = secure_peer(certificate.acceptor()).await;
        assert_eq!(
            refused(&client(https(&peer), trusting_this(&certificate))).await,
            "the request could not be sent: no TLS with localhost: its certificate is for another host"
        );
    }
}

#[tokio::test]
async fn a_certificate_without_a_subject_alternative_name_is_told_to_lack_it() {
    for mut params in self_signed("localhost") {
        params.subject_alt_names.clear();
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let certificate = SelfSigned::new(&params);
        let peer = secure_peer(certificate.acceptor()).await;
        assert_eq!(
            refused(&client(https(&peer), trusting_this(&certificate))).await,
            "the request could not be sent: no TLS with localhost: its certificate has no subject alternative name, \
             which is where the names of its hosts must be"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_trusted_itself_still_expires() {
    for mut params in self_signed("localhost") {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 9, 9);
        let certificate = SelfSigned::new(&params);
        let peer = secure_peer(certificate.acceptor()).await;
        let told = refused(&client(https(&peer), trusting_this(&certificate))).await;
        assert!(told.contains("is not valid at this time"), "{told}");
    }
}

#[tokio::test]
async fn another_certificate_of_the_same_names_is_refused() {
    for params in self_signed("localhost") {
        let peer = secure_peer(SelfSigned::new(&params).acceptor()).await;
        let told = refused(&client(https(&peer), trusting_this(&SelfSigned::new(&params)))).await;
        assert!(told.contains("that is trusted here"), "{told}");
    }
    let [ca, ..] = self_signed("localhost");
    let peer = secure_peer(SelfSigned::new(&ca).acceptor()).await;
    assert_eq!(
        refused(&client(https(&peer), trusting(&Authority::new()))).await,
        "the request could not be sent: no TLS with localhost: its certificate is that of a CA, and none that is trusted \
         here: give it as a CA's certificate if you trust it"
    );
}

#[tokio::test]
async fn https_to_a_port_that_speaks_plain_http_is_told_so() {
    let peer = Peer::start(|mut stream, _| async move {
        let hello = read_some(&mut stream).await;
        assert_eq!(hello[0], 0x16, "a TLS handshake");
        answer(&mut stream, 400, "Connection: close\r\n", "what was that?").await;
    })
    .await;
    assert_eq!(
        refused(&client(https(&peer), trusting(&Authority::new()))).await,
        "the request could not be sent: no TLS with localhost: what listens there does not speak TLS: is it an \
         http:// address?"
    );
}

#[tokio::test]
async fn http_to_a_port_that_speaks_tls_is_told_so() {
    let peer = secure_peer(Authority::new().acceptor("localhost")).await;
    let told = refused(&peer.client(options())).await;
    let at = peer.address;
    assert_eq!(told, format!("the request could not be sent: {at} speaks TLS: is it an https:// address?"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_early_refusal_is_not_lost_over_tls_either() {
    let authority = Authority::new();
    let peer = tls_peer(authority.acceptor("localhost"), |mut stream| async move {
        read_head(&mut stream).await.unwrap();
        answer(&mut stream, 401, "Connection: close\r\n", "{}").await;
    })
    .await;
    let client = client(https(&peer), trusting(&authority));
    let content = crate::peer::zeros(16 * MIB);
    for round in 0..20 {
        let error = client.call_with(&part(16 * MIB), content.clone()).await.unwrap_err();
        let refusal = error.rejection().unwrap_or_else(|| panic!("round {round}: {}", line(&error)));
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
    }
}

#[test]
fn what_is_no_certificate_is_refused_before_anything_is_sent() {
    let refused = |pem: &str| options().trust_ca_pem(pem.as_bytes()).unwrap_err();
    assert!(matches!(refused(""), CertificateError::NoneGiven));
    assert!(matches!(refused("not a certificate"), CertificateError::NoneGiven));
    let broken = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
    assert!(matches!(refused(broken), CertificateError::Pem(_)));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(refused(nonsense), CertificateError::Unusable(_)));
}

async fn read_some(stream: &mut tokio::net::TcpStream) -> Vec<u8> {
    let mut some = Vec::new();
    tokio::io::AsyncReadExt::read_buf(stream, &mut some).await.unwrap();
    some
}
