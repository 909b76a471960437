//! Where the key or token of each attempt comes from.

use std::error::Error;

use futures_util::future::BoxFuture;
use partwise_protocol::Credential;

/// Gives the credential for one attempt. It is asked before every attempt, since an upload may outlive a token: keep
/// what is costly to get until it is close to its end. Measure that on the wall clock: an `Instant` may stand still while the
/// machine sleeps.
///
/// A [`Credential`] is one that never changes. A closure is one too:
///
/// ```
/// use partwise_protocol::{Credential, error::EncodeError};
/// use partwise::CredentialSource;
///
/// async fn token_from_somewhere() -> String {
///     "eyJ0eXAi…".to_owned()
/// }
///
/// fn takes(credentials: impl CredentialSource) {}
///
/// takes(|| async { Credential::token(&token_from_somewhere().await) });
/// ```
pub trait CredentialSource: Send + Sync + 'static {
    /// Why there may be none. It ends the request for good.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// The credential for one attempt.
    fn credential(&self) -> impl Future<Output = Result<Credential, Self::Error>> + Send;

    /// Hears that the service has rejected this credential (401), and returns whether another one may be had: the request then
    /// goes again, once, with the one that [`credential`](Self::credential) gives next.
    fn rejected(&self, credential: &Credential) -> bool {
        let _ = credential;
        false
    }
}

impl CredentialSource for Credential {
    type Error = std::convert::Infallible;

    async fn credential(&self) -> Result<Credential, Self::Error> {
        Ok(self.clone())
    }
}

impl<F, Asked, E> CredentialSource for F
where
    F: Fn() -> Asked + Send + Sync + 'static,
    Asked: Future<Output = Result<Credential, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Error = E;

    fn credential(&self) -> impl Future<Output = Result<Credential, E>> + Send {
        self()
    }
}

/// Any source behind one type.
pub(crate) trait AnyCredentials: Send + Sync {
    fn ask(&self) -> BoxFuture<'_, Result<Credential, Box<dyn Error + Send + Sync>>>;

    fn hear_rejected(&self, credential: &Credential) -> bool;
}

impl<C: CredentialSource> AnyCredentials for C {
    fn ask(&self) -> BoxFuture<'_, Result<Credential, Box<dyn Error + Send + Sync>>> {
        Box::pin(async { self.credential().await.map_err(Into::into) })
    }

    fn hear_rejected(&self, credential: &Credential) -> bool {
        self.rejected(credential)
    }
}
