//! A token that is refreshed before it expires.

use std::{
    error::Error,
    fmt,
    sync::{MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use partwise_protocol::Credential;
use tokio::sync::Mutex;

use crate::CredentialSource;

/// A token is refreshed this long before it expires, or when a tenth of its time is left if that is less.
const MARGIN: Duration = Duration::from_secs(300);

/// A token that expires, such as one of Microsoft Entra: kept until shortly before its end, and fetched again then, or when the
/// service rejects it (401). However many requests wait for it, it is fetched once.
///
/// The function that fetches it returns the token and the moment at which it expires, by the system's wall clock. When it
/// fails while the last token is still valid, that one is used. A [`Credential`] is pure data and cannot hold such a function, which
/// is why this is a [`CredentialSource`] beside it.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use partwise::{Api, Client, RefreshingToken};
///
/// async fn ask_entra() -> std::io::Result<(String, SystemTime)> {
///     Ok(("eyJ0eXAi…".to_owned(), SystemTime::now() + Duration::from_secs(3600)))
/// }
///
/// # fn client() -> Result<Client, Box<dyn std::error::Error>> {
/// let token = RefreshingToken::new(|| async {
///     let (token, expires_at) = ask_entra().await?;
///     Ok::<_, std::io::Error>((token, expires_at))
/// });
/// let client = Client::builder(Api::azure("https://example.openai.azure.com", "2024-10-21")?, token).build();
/// # Ok(client)
/// # }
/// ```
pub struct RefreshingToken<F> {
    fetch: F,
    /// Never locked across a wait, so that a rejection is noted although other requests ask for the token.
    cached: std::sync::Mutex<Option<Cached>>,
    /// Held by the one request that fetches the token.
    fetching: Mutex<()>,
}

struct Cached {
    credential: Credential,
    refresh_at: SystemTime,
    expires_at: SystemTime,
}

impl<F> RefreshingToken<F> {
    /// A token that `fetch` gets. It is not called before the first request.
    pub fn new(fetch: F) -> Self {
        Self { fetch, cached: std::sync::Mutex::default(), fetching: Mutex::default() }
    }

    fn cached(&self) -> MutexGuard<'_, Option<Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, if this moment of its time has not come yet.
    fn cached_until(&self, end: fn(&Cached) -> SystemTime) -> Option<Credential> {
        let now = SystemTime::now();
        self.cached().as_ref().filter(|cached| now < end(cached)).map(|cached| cached.credential.clone())
    }
}

impl<F, Fetching, E> CredentialSource for RefreshingToken<F>
where
    F: Fn() -> Fetching + Send + Sync + 'static,
    Fetching: Future<Output = Result<(String, SystemTime), E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Error = Box<dyn Error + Send + Sync>;

    async fn credential(&self) -> Result<Credential, Self::Error> {
        let refresh_at = |cached: &Cached| cached.refresh_at;
        if let Some(credential) = self.cached_until(refresh_at) {
            return Ok(credential);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(credential) = self.cached_until(refresh_at) {
            return Ok(credential);
        }
        let now = SystemTime::now();
        match (self.fetch)().await {
            Ok((token, expires_at)) => {
                let credential = Credential::token(&token)?;
                let lasts = expires_at.duration_since(now).unwrap_or_default();
                let refresh_at = now + lasts.saturating_sub(MARGIN.min(lasts / 10));
                *self.cached() = Some(Cached { credential: credential.clone(), refresh_at, expires_at });
                Ok(credential)
            }
            // Read only now: the last token may have been rejected while this one was fetched.
            Err(error) => match self.cached_until(|cached| cached.expires_at) {
                Some(credential) => {
                    let error: Box<dyn Error + Send + Sync> = error.into();
                    tracing::warn!(%error, "the token cannot be refreshed; the last one is still valid");
                    Ok(credential)
                }
                None => Err(error.into()),
            },
        }
    }

    fn rejected(&self, credential: &Credential) -> bool {
        self.cached().take_if(|cached| cached.credential == *credential);
        true
    }
}

impl<F> fmt::Debug for RefreshingToken<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshingToken").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{
            Arc, Mutex,
            atomic::{AtomicU32, Ordering::Relaxed},
        },
    };

    use futures_util::poll;
    use tokio::sync::Notify;

    use super::*;

    /// Tokens `token-1`, `token-2`, … that last as long as the list says; `None` fails.
    fn tokens(lasting: Vec<Option<u64>>) -> (Arc<AtomicU32>, impl CredentialSource) {
        let fetched = Arc::new(AtomicU32::new(0));
        let (count, lasting) = (fetched.clone(), Mutex::new(lasting.into_iter()));
        let source = RefreshingToken::new(move || {
            let number = count.fetch_add(1, Relaxed) + 1;
            let lasts = lasting.lock().unwrap().next().flatten();
            async move {
                let lasts = lasts.ok_or_else(|| io::Error::other("no token"))?;
                Ok::<_, io::Error>((
                    format!("token-{number}"),
                    SystemTime::now() + Duration::from_secs(lasts),
                ))
            }
        });
        (fetched, source)
    }

    async fn token(source: &impl CredentialSource) -> Option<String> {
        source.credential().await.ok().map(|credential| credential.secret().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_while_it_lasts() {
        let (fetched, source) = tokens(vec![Some(3600), Some(3600)]);
        for _ in 0..3 {
            assert_eq!(token(&source).await.as_deref(), Some("token-1"));
        }
        assert_eq!(fetched.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn a_token_that_has_expired_is_fetched_again() {
        let (_, source) = tokens(vec![Some(0), Some(3600)]);
        assert_eq!(token(&source).await.as_deref(), Some("token-1"));
        assert_eq!(token(&source).await.as_deref(), Some("token-2"));
        assert_eq!(token(&source).await.as_deref(), Some("token-2"));
    }

    #[tokio::test]
    async fn a_token_that_was_rejected_is_fetched_again_unless_another_one_is_there() {
        let (fetched, source) = tokens(vec![Some(3600), Some(3600), Some(3600)]);
        let first = source.credential().await.ok().unwrap();
        assert!(source.rejected(&first));
        assert_eq!(token(&source).await.as_deref(), Some("token-2"));
        assert!(source.rejected(&first), "the second one is worth a try");
        assert_eq!(token(&source).await.as_deref(), Some("token-2"));
        assert_eq!(fetched.load(Relaxed), 2);
    }

    #[tokio::test]
    async fn a_token_that_is_rejected_while_another_request_waits_for_it_is_not_handed_out_again() {
        let fetched = AtomicU32::new(0);
        let give = Arc::new(Notify::new());
        let source = RefreshingToken::new({
            let give = give.clone();
            move || {
                let (number, give) = (fetched.fetch_add(1, Relaxed) + 1, give.clone());
                async move {
                    give.notified().await;
                    let expires = SystemTime::now() + Duration::from_secs(3600);
                    Ok::<_, io::Error>((format!("token-{number}"), expires))
                }
            }
        });
        let (mut first, mut second) = (Box::pin(source.credential()), Box::pin(source.credential()));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        give.notify_one();
        let token = first.await.unwrap();
        assert!(source.rejected(&token));
        give.notify_one();
        assert_eq!(second.await.unwrap().secret(), "token-2");
        assert_eq!(source.credential().await.unwrap().secret(), "token-2");
    }

    #[tokio::test]
    async fn where_no_token_can_be_had_the_request_fails() {
        let (_, source) = tokens(vec![None, Some(3600)]);
        assert_eq!(token(&source).await, None);
        assert_eq!(token(&source).await.as_deref(), Some("token-2"));
    }
}
