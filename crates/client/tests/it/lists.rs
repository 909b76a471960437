//! Lists of files, page by page: against the server, in process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use futures_util::TryStreamExt as _;
use http::{Request, Uri};
use partwise::{Client, Credential, File, Purpose, RequestBody};
use tower::ServiceBuilder;

use crate::everyday::{api, server};

/// The most files that the service puts on one page.
const PAGE: &str = "limit=2";

/// The address of a list, with pages as small as this service's.
fn of_small_pages(uri: &Uri) -> Uri {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("limit="));
    let query: Vec<&str> = kept.chain([PAGE]).collect();
    let authority = uri.authority().unwrap();
    format!("http://{authority}{path}?{}", query.join("&")).parse().unwrap()
}

/// A client of a service with small pages; and how many were asked for.
async fn client() -> (Client, Arc<AtomicU64>) {
    let pages = Arc::new(AtomicU64::new(0));
    let count = pages.clone();
    let paged = move |mut request: Request<RequestBody>| {
        if request.method() == http::Method::GET {
            count.fetch_add(1, Relaxed);
            *request.uri_mut() = of_small_pages(request.uri());
        }
        request
    };
    let transport = ServiceBuilder::new().map_request(paged).service(server().await);
    (Client::builder(api(), Credential::key("key").unwrap()).transport(transport).build(), pages)
}

#[tokio::test]
async fn every_page_of_a_list_is_asked_for() {
    let (client, pages) = client().await;
    for number in 0..5 {
        client.upload(format!("{number}.txt"), "x", Purpose::Assistants).await.unwrap();
    }
    let before = pages.load(Relaxed);
    let all: Vec<File> = client.files().stream().try_collect().await.unwrap();
    let mut names: Vec<_> = all.iter().filter_map(|file| file.filename.as_deref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"]);
    assert_eq!(pages.load(Relaxed) - before, 3);

    let three: Vec<File> = client.files().limit(3).stream().try_collect().await.unwrap();
    assert_eq!(
        three.iter().map(|file| &file.id).collect::<Vec<_>>(),
        all[..3].iter().map(|file| &file.id).collect::<Vec<_>>()
    );
    assert_eq!(pages.load(Relaxed) - before, 5);
}
