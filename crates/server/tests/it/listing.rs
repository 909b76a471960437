//! Pages of files.

use http::StatusCode;
use object_store::ObjectStoreExt;
use partwise_models::{File, FileList, Purpose};
use partwise_protocol::operations::{DeleteFile, ListFiles, Order};

use crate::{
    records::put_record,
    world::{Caller, World, azure, azure_v1, new_file, openai, told},
};

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
async fn a_cursor_that_is_no_identifier_of_a_file_is_refused() {
    let world = World::new().await;
    let caller = world.caller();
    caller.create_file("a", b"x").await;
    for after in ["file-1", "file-00000000000000000000000000000000", "nonsense"] {
        let mut request = ListFiles::new();
        request.after = Some(after.into());
        let refusal = caller.call(&request).await.unwrap_err();
        let expected =
            format!("400: `after` must be the identifier of a file, as a list shows it, and is `{after}`");
        assert_eq!(told(&refusal), expected);
        assert_eq!(refusal.error.param.as_deref(), Some("after"));
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

fn get(caller: &Caller, query: &str) -> http::Request<bytes::Bytes> {
    let version = caller.api.dialect().api_version().map(|version| format!("api-version={version}&"));
    let path = format!("/files?{}{query}", version.unwrap_or_default());
    caller.plain("GET", &path).body(bytes::Bytes::new()).unwrap()
}

async fn listed(caller: &Caller, query: &str) -> FileList {
    let response = caller.send(get(caller, query)).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}: {response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test]
async fn azures_older_versions_list_everything_and_say_that_it_is_all() {
    let world = World::new().await;
    let caller = world.caller_of(azure("2024-10-21"));
    for index in 0..10_001 {
        put_record(&world, index, &format!("{index}")).await;
    }
    let list = listed(&caller, "").await;
    assert_eq!(list.data.len(), 10_001);
    assert_eq!((list.has_more, list.first_id, list.last_id), (Some(false), None, None));
    // Where pages are documented, a page without a limit ends where the documents say.
    for api in [openai(), azure("2025-04-01-preview"), azure_v1()] {
        let list = listed(&world.caller_of(api), "").await;
        assert_eq!((list.data.len(), list.has_more), (10_000, Some(true)));
    }
}

#[tokio::test]
async fn azures_older_versions_say_when_a_page_that_was_asked_for_has_more_behind_it() {
    let world = World::new().await;
    let caller = world.caller_of(azure("2024-10-21"));
    for index in 0..300 {
        put_record(&world, index, &format!("{index}")).await;
    }
    // The way of npm's AzureOpenAI: on while `has_more` is true, behind the last file.
    let (mut found, mut query) = (Vec::new(), "limit=100".to_owned());
    loop {
        let list = listed(&caller, &query).await;
        assert_eq!((list.first_id, list.last_id), (None, None));
        found.extend(list.data.into_iter().map(|file| file.id));
        query = format!("limit=100&after={}", found.last().unwrap());
        if list.has_more != Some(true) {
            assert_eq!(list.has_more, Some(false));
            break;
        }
    }
    assert_eq!(found.len(), 300);
    assert!(found.is_sorted_by(|newer, older| newer > older));
}

#[tokio::test]
async fn an_empty_parameter_counts_as_absent() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.caller().create_file(name, b"x").await;
        world.advance(1);
    }
    for api in [openai(), azure("2024-10-21"), azure("2025-04-01-preview"), azure_v1()] {
        let caller = world.caller_of(api);
        let whole = listed(&caller, "").await;
        assert_eq!(whole.data.len(), 3);
        for query in [
            "after=",
            "limit=",
            "purpose=",
            "order=",
            "after&limit&purpose&order",
            "purpose=&limit=&order=&after=",
        ] {
            assert_eq!(listed(&caller, query).await, whole, "{query}");
        }
    }
}

#[tokio::test]
async fn of_a_parameter_that_comes_twice_the_first_counts() {
    let world = World::new().await;
    let caller = world.caller();
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(caller.create_file(name, b"x").await.id);
        world.advance(1);
    }
    let query = format!(
        "limit=1&limit=0&order=asc&order=x&after={}&after=nonsense&purpose=assistants&purpose=batch",
        ids[0]
    );
    let list = listed(&caller, &query).await;
    assert_eq!(list.data.iter().map(|file| &file.id).collect::<Vec<_>>(), [&ids[1]]);
    assert_eq!(listed(&caller, "limit=&limit=1").await.data.len(), 3);
}

#[tokio::test]
async fn any_identifier_of_a_file_is_a_place_to_page_on_from() {
    let world = World::new().await;
    let caller = world.caller();
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(caller.create_file(name, b"x").await.id);
        world.advance(1);
    }
    // As the sweeper does some time after a file was deleted.
    let record = format!("tenants/team-a/files/{}.json", ids[1].strip_prefix("file-").unwrap());
    world.objects.delete(&record.into()).await.unwrap();
    let list = listed(&caller, &format!("order=asc&after={}", ids[1])).await;
    assert_eq!(list.data.iter().map(|file| &file.id).collect::<Vec<_>>(), [&ids[2]]);
    let never = "file-00000000000000000000000001000000";
    assert_eq!(listed(&caller, &format!("order=asc&after={never}")).await.data.len(), 2);
    assert_eq!(listed(&caller, &format!("after={never}")).await.data.len(), 0);
}

#[tokio::test]
async fn an_empty_page_behind_the_last_file_says_that_it_is_the_end() {
    let world = World::new().await;
    let caller = world.caller();
    let file = caller.create_file("a", b"x").await;
    let list = listed(&caller, &format!("after={}", file.id)).await;
    assert_eq!((list.data.len(), list.has_more, list.first_id, list.last_id), (0, Some(false), None, None));
}
