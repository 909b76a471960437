//! Pages of files.

use http::StatusCode;
use partwise_models::{File, Purpose};
use partwise_protocol::{DeleteFile, ListFiles, Order};

use crate::world::{Caller, World, azure, new_file, told};

async fn all_pages(caller: &Caller, order: Order, limit: u32) -> Vec<File> {
    let mut request = ListFiles::new();
    (request.order, request.limit) = (Some(order), Some(limit));
    let mut files = Vec::new();
    loop {
        let page = caller.call(&request).await.unwrap();
        assert!(page.data.len() <= limit as usize);
        assert_eq!(page.last_id.as_ref(), page.data.last().map(|file| &file.id));
        assert_eq!(page.first_id.as_ref(), page.data.first().map(|file| &file.id));
        files.extend(page.data);
        if page.has_more != Some(true) {
            return files;
        }
        request.after = page.last_id;
    }
}

#[tokio::test]
async fn a_thousand_files_of_one_second_are_paged_without_a_gap_or_a_double() {
    let world = World::new().await;
    let caller = world.caller();
    let mut ids = Vec::new();
    for index in 0..1000 {
        ids.push(caller.create_file(&format!("{index}.txt"), b"x").await.id);
    }
    ids.sort();
    let ascending: Vec<String> =
        all_pages(&caller, Order::Ascending, 3).await.into_iter().map(|file| file.id).collect();
    assert_eq!(ascending, ids);
    ids.reverse();
    let descending: Vec<String> =
        all_pages(&caller, Order::Descending, 3).await.into_iter().map(|file| file.id).collect();
    assert_eq!(descending, ids);
}

#[tokio::test]
async fn the_newest_file_comes_first_unless_asked_otherwise() {
    let world = World::new().await;
    let caller = world.caller();
    for name in ["old", "middle", "new"] {
        caller.create_file(name, b"x").await;
        world.advance(1);
    }
    let names = |files: Vec<File>| files.into_iter().filter_map(|file| file.filename).collect::<Vec<_>>();
    assert_eq!(names(caller.call(&ListFiles::new()).await.unwrap().data), ["new", "middle", "old"]);
    assert_eq!(names(all_pages(&caller, Order::Ascending, 1).await), ["old", "middle", "new"]);
}

#[tokio::test]
async fn a_purpose_selects_and_a_page_is_full_of_it() {
    let world = World::new().await;
    let caller = world.caller();
    for index in 0..6 {
        let purpose = if index % 2 == 0 { Purpose::Vision } else { Purpose::Assistants };
        caller.call(&new_file(purpose, &format!("{index}"), b"x")).await.unwrap();
        world.advance(1);
    }
    let mut request = ListFiles::new();
    (request.purpose, request.limit) = (Some(Purpose::Vision), Some(2));
    let page = caller.call(&request).await.unwrap();
    assert_eq!(page.data.len(), 2);
    assert_eq!(page.has_more, Some(true));
    assert!(page.data.iter().all(|file| file.purpose == Some(Purpose::Vision)));
    request.purpose = Some(Purpose::BatchOutput);
    assert!(caller.call(&request).await.unwrap().data.is_empty());
}

#[tokio::test]
async fn paging_goes_on_behind_a_file_that_was_deleted_meanwhile() {
    let world = World::new().await;
    let caller = world.caller();
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(caller.create_file(name, b"x").await.id);
        world.advance(1);
    }
    caller.call(&DeleteFile::new(&ids[1])).await.unwrap();
    let mut request = ListFiles::new();
    (request.order, request.after) = (Some(Order::Ascending), Some(ids[1].clone()));
    let page = caller.call(&request).await.unwrap();
    assert_eq!(page.data.iter().map(|file| &file.id).collect::<Vec<_>>(), [&ids[2]]);
}

#[tokio::test]
async fn a_cursor_that_names_no_file_is_refused() {
    let world = World::new().await;
    let caller = world.caller();
    caller.create_file("a", b"x").await;
    for after in ["file-1", "file-00000000000000000000000000000000", "nonsense"] {
        let mut request = ListFiles::new();
        request.after = Some(after.into());
        let refusal = caller.call(&request).await.unwrap_err();
        assert_eq!(told(&refusal), format!("400: there is no file `{after}` to list from"));
    }
}

#[tokio::test]
async fn limits_and_orders_out_of_bounds_are_refused() {
    let world = World::new().await;
    let caller = world.caller();
    for query in ["limit=0", "limit=10001", "limit=-1", "limit=x", "order=up"] {
        let request = caller.plain("GET", &format!("/files?{query}")).body(bytes::Bytes::new()).unwrap();
        assert_eq!(caller.send(request).await.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    let request =
        caller.plain("GET", "/files?limit=10000&order=asc&other=x").body(bytes::Bytes::new()).unwrap();
    assert_eq!(caller.send(request).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn azure_lists_plainly_but_pages_when_asked() {
    let world = World::new().await;
    let caller = world.caller_of(azure("2024-10-21"));
    for name in ["a", "b", "c"] {
        caller.create_file(name, b"x").await;
        world.advance(1);
    }
    let get = |query: &str| {
        caller.plain("GET", &format!("/files?api-version=2024-10-21{query}")).body(bytes::Bytes::new())
    };
    let ids = |body: bytes::Bytes| {
        let list: partwise_models::FileList = serde_json::from_slice(&body).unwrap();
        assert_eq!((list.has_more, list.first_id, list.last_id), (None, None, None));
        list.data.into_iter().map(|file| file.id).collect::<Vec<_>>()
    };
    let all = ids(caller.send(get("").unwrap()).await.into_body());
    assert_eq!(all.len(), 3);
    let page = ids(caller.send(get(&format!("&limit=1&after={}", all[0])).unwrap()).await.into_body());
    assert_eq!(page, [all[1].clone()]);
}
