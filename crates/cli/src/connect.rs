//! From a service that was named to a client that can be used.

use std::{fs, path::Path};

use http::Uri;
use partwise::{
    Client, ClientBuilder, Reading, Writing,
    stack::{Proxy, Stack, StackOptions},
};
use partwise_protocol::{Api, retry::RetryPolicy};
use partwise_server::{Durability, Keys, Server};

use crate::{
    account::Sent,
    environment::Environment,
    explain::Explain,
    notices::Notices,
    report::Report,
    screen::say,
    service::{Reach, Service},
    store,
};

/// As many as there can be parts in flight.
const CONNECTIONS: usize = 64;

/// Somebody waits for a single operation; a whole upload is more patient.
const FAILURES_OF_ONE_OPERATION: u32 = 3;

/// A service that was named and that nobody has spoken to yet.
#[derive(Debug)]
pub(crate) struct Connection<'e, E> {
    service: Service,
    environment: &'e E,
}

/// A client and what it speaks to.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Says what errors of this client mean.
    pub(crate) explain: Explain,
    /// Set when the service outlives this process.
    pub(crate) is_lasting: bool,
    /// Where failed attempts are told.
    pub(crate) notices: Notices,
    /// The headers that say on whose behalf the service is used, besides the key.
    pub(crate) sent: Sent,
    embedded: Option<Server>,
}

impl<'e, E: Environment> Connection<'e, E> {
    pub(crate) fn new(service: Service, environment: &'e E) -> Self {
        Self { service, environment }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.service.api
    }

    /// Finds the key and makes the client. Nothing is sent yet.
    pub(crate) async fn connect(self) -> Result<Connected, Report> {
        let Self { service, environment } = self;
        let proxy = proxy(&service)?;
        let (credential, key) = service.credential(environment)?;
        let explain = Explain::new(&service, key);
        let sent = service.account_headers(environment)?;
        let (builder, is_lasting, embedded) = match &service.reach {
            Reach::Embedded { store } => {
                let opened = store::open(store, Durability::Strict, store::Missing::Make)?;
                // The server is called where it stands: no socket, no port, and nobody else on the machine
                // can reach it.
                let server = Server::builder(opened.store)
                    .keys(Keys::any())
                    .build()
                    .await
                    .map_err(|cause| store::unopened(&cause))?;
                let api = match &opened.identity {
                    Some(identity) => service.api.with_identity(identity),
                    None => service.api,
                };
                let builder = Client::builder(api, credential).transport(server.clone());
                let builder = with_headers(builder, &sent)?;
                (builder, opened.identity.is_some(), Some(server))
            }
            Reach::Network { ca_cert, plain_http } => {
                let stack = stack(ca_cert.as_deref(), proxy)?;
                let builder = Client::builder(service.api, credential).transport(stack);
                (in_the_clear(with_headers(builder, &sent)?, *plain_http)?, true, None)
            }
        };
        let patience = RetryPolicy::default().max_failures(FAILURES_OF_ONE_OPERATION);
        let notices = Notices::default();
        let told = notices.clone();
        let builder = builder.on_retry(move |retry| told.retry(retry));
        Ok(Connected {
            client: builder.reading(Reading::Inline).writing(Writing::Inline).retry(patience).build(),
            notices,
            explain,
            is_lasting,
            sent,
            embedded,
        })
    }
}

impl Connected {
    /// Clears up behind the embedded server. What is left over does no harm and the next command finds it, so
    /// a failure is no one's concern but the log's.
    pub(crate) async fn sweep(&self) {
        if let Some(server) = &self.embedded {
            if let Err(cause) = server.sweep().await {
                tracing::warn!(cause = &cause as &dyn std::error::Error, "the store was not swept");
            }
        }
    }
}

/// The proxies that the environment names. One that the service needs and that cannot be read is told at once.
fn proxy(service: &Service) -> Result<Proxy, Report> {
    let proxy = match service.reach {
        Reach::Embedded { .. } => Proxy::none(),
        Reach::Network { .. } => Proxy::from_env(),
    };
    if let Ok(uri) = service.api.base().parse::<Uri>() {
        proxy.check(&uri).map_err(|cause| {
            Report::of(&cause).hint("a proxy looks like http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT")
        })?;
    }
    Ok(proxy)
}

/// The client as it may be used where the key goes over plain http to another machine; nothing is changed where it does not.
fn in_the_clear<T>(builder: ClientBuilder<T>, is_allowed: bool) -> Result<ClientBuilder<T>, Report> {
    let Some(host) = builder.plain_http_to() else { return Ok(builder) };
    if !is_allowed {
        let message = format!(
            "{}: the key would go to {host} over plain http, where anyone on the way can read it",
            builder.api().base()
        );
        return Err(Report::failed(message).hint(
            "use https://, or --allow-plain-http (PARTWISE_ALLOW_PLAIN_HTTP=1) where the network on the way is trusted",
        ));
    }
    // Said to people alone; when they are gone it is not said.
    say(&format!("warning: the key goes to {host} over plain http, where anyone on the way can read it"));
    Ok(builder.allow_plain_http())
}

fn stack(ca_cert: Option<&Path>, proxy: Proxy) -> Result<Stack, Report> {
    let options = StackOptions::new().connections(CONNECTIONS).proxy(proxy);
    Ok(Stack::new(trusting(options, ca_cert)?))
}

/// The options with the certificates of `--ca-cert`.
pub(crate) fn trusting(options: StackOptions, ca_cert: Option<&Path>) -> Result<StackOptions, Report> {
    let Some(path) = ca_cert else { return Ok(options) };
    let name = format!("--ca-cert {}", path.display());
    let pem = fs::read(path).map_err(|cause| Report::because(&name, &cause))?;
    options.trust_ca_pem(&pem).map_err(|cause| Report::because(&name, &cause))
}

/// With the headers that say on whose behalf the service is used.
fn with_headers<T>(mut builder: ClientBuilder<T>, sent: &Sent) -> Result<ClientBuilder<T>, Report> {
    for (header, variable, value) in sent {
        builder = builder.header(*header, value).map_err(|cause| Report::because(*variable, &cause))?;
    }
    Ok(builder)
}
