//! How a client comes about, and how it is changed.

use std::io;

use partwise_protocol::Api;

use super::Client;
use crate::{ClientBuilder, CredentialSource, EnvironmentError, GivenTransport};

/// The environment does not describe a client, or the client cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The environment does not describe a client.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The system gives no thread for the client, or nothing to wait with.
    #[error("cannot start the thread of the client")]
    Runtime(#[from] io::Error),
}

#[cfg(feature = "hyper")]
impl Client {
    /// Makes a client as the environment describes it: see [`Client::from_env`](crate::Client::from_env).
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = partwise::blocking::Client::from_env()?;
    /// println!("{:?}", client.file("file-abc123")?.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError::Environment`], which names the variable, and [`StartError::Runtime`].
    pub fn from_env() -> Result<Self, StartError> {
        Ok(Self::new(crate::Client::from_env()?)?)
    }

    /// Makes a client of Azure OpenAI as the environment describes it: see
    /// [`Client::from_env_azure`](crate::Client::from_env_azure).
    ///
    /// # Errors
    /// [`StartError::Environment`], which names the variable, and [`StartError::Runtime`].
    pub fn from_env_azure() -> Result<Self, StartError> {
        Ok(Self::new(crate::Client::from_env_azure()?)?)
    }
}

impl Client {
    /// Begins a client of the service at `api`. Its builder ends with [`build_blocking`](ClientBuilder::build_blocking).
    ///
    /// ```no_run
    /// use partwise::{Api, Credential, blocking::Client, protocol::retry::RetryPolicy};
    ///
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Client::builder(Api::openai(), Credential::key("sk-secret")?);
    /// # #[cfg(feature = "hyper")]
    /// let client = builder.retry(RetryPolicy::never()).build_blocking()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(api: Api, credentials: impl CredentialSource) -> ClientBuilder {
        crate::Client::builder(api, credentials)
    }

    /// Returns this client with other settings, which shares its thread, its transport, and the state of the service: see
    /// [`Client::to_builder`](crate::Client::to_builder).
    ///
    /// ```
    /// use partwise::{blocking::Client, protocol::retry::RetryPolicy};
    ///
    /// # fn example(client: &Client) {
    /// let impatient = client.with(|client| client.retry(RetryPolicy::never()));
    /// # }
    /// ```
    #[must_use]
    pub fn with(
        &self,
        set: impl FnOnce(ClientBuilder<GivenTransport>) -> ClientBuilder<GivenTransport>,
    ) -> Self {
        Self { client: set(self.client.to_builder()).build(), runtime: self.runtime.clone() }
    }

    /// The service that this client talks to.
    #[must_use]
    pub fn api(&self) -> &Api {
        self.client.api()
    }
}

#[cfg(feature = "hyper")]
impl ClientBuilder {
    /// Builds the client, and starts its thread: see [`Client::new`]. Nothing is opened yet.
    ///
    /// # Errors
    /// As there.
    pub fn build_blocking(self) -> io::Result<Client> {
        Client::new(self.build())
    }
}

impl ClientBuilder<GivenTransport> {
    /// Builds the client, and starts its thread: see [`Client::new`]. Nothing is opened yet.
    ///
    /// # Errors
    /// As there.
    pub fn build_blocking(self) -> io::Result<Client> {
        Client::new(self.build())
    }
}
