//! `partwise files list`, `get`, `delete` and `import`.

use partwise_models::{File, FileState, ImportFileRequest};
use partwise_protocol::operations::{ImportFile, Order, RetrieveFile};

use crate::{
    args::{GetArguments, ImportArguments, ListArguments, OrderName, OutputArguments},
    connect::Connection,
    environment::Environment,
    output::Output,
    purpose,
    report::{Report, one_line},
    screen::say,
};

/// Prints the files that the service holds.
pub(crate) async fn list(
    arguments: &ListArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let purpose =
        arguments.purpose.as_deref().map(|text| purpose::resolve(text, arguments.allow_unknown_purpose));
    let purpose = purpose.transpose()?;
    let connected = connection.connect().await?;
    let mut listing = connected.client.files();
    if let Some(purpose) = purpose {
        listing = listing.purpose(purpose);
    }
    if let Some(order) = arguments.order {
        listing = listing.order(match order {
            OrderName::Asc => Order::Ascending,
            OrderName::Desc => Order::Descending,
        });
    }
    if let Some(limit) = arguments.limit {
        listing = listing.limit(limit);
    }
    let mut output = Output::stdout();
    let mut table = Vec::new();
    let failed = |error| connected.explain.report("cannot list the files", &error);
    while let Some(files) = listing.next_page().await.map_err(failed)? {
        if !arguments.output.json {
            table.extend(files);
            continue;
        }
        for file in &files {
            output.json(file)?;
        }
        if !output.is_open() {
            return Ok(());
        }
    }
    if table.is_empty() && !arguments.output.json {
        // Said to people alone; when they are gone it is not said.
        say("no files");
    }
    output.table(&table)
}

/// Prints one file's object.
pub(crate) async fn get(
    arguments: &GetArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let connected = connection.connect().await?;
    let file = connected.client.call(&RetrieveFile::new(&arguments.id)).await;
    let file =
        file.map_err(|error| connected.explain.report(&format!("cannot get {}", arguments.id), &error))?;
    print(&file, &arguments.output)
}

/// Deletes one file.
pub(crate) async fn delete(
    arguments: &GetArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let id = &arguments.id;
    let connected = connection.connect().await?;
    let deleted = connected.client.delete_file_with_answer(id).await;
    let deleted =
        deleted.map_err(|error| connected.explain.report(&format!("cannot delete {id}"), &error))?;
    connected.sweep().await;
    let refused = deleted.deleted == Some(false);
    let mut output = Output::stdout();
    if arguments.output.json {
        output.json(&deleted)?;
    } else if !refused {
        output.line(&format!("deleted {}", one_line(id)))?;
    }
    if refused {
        return Err(Report::failed(format!(
            "{id} was not deleted: the service says so, and mostly it was gone before"
        )));
    }
    Ok(())
}

/// Has the service fetch a file.
pub(crate) async fn import(
    arguments: &ImportArguments,
    connection: Connection<'_, impl Environment>,
) -> Result<(), Report> {
    let purpose = arguments.purpose.resolve_for(&arguments.filename, "give another --filename")?;
    let connected = connection.connect().await?;
    let request = ImportFileRequest::new(purpose, &arguments.filename, &arguments.url);
    let file = connected.client.call(&ImportFile::new(request)).await;
    let file =
        file.map_err(|error| connected.explain.report(&format!("cannot import {}", arguments.url), &error))?;
    print(&file, &arguments.output)?;
    match file.status {
        Some(FileState::Error) => {
            let details = file.status_details.as_deref().unwrap_or("it does not say why");
            let (url, details) = (&arguments.url, one_line(details));
            Err(Report::failed(format!("the service rejected the content of {url}: {details}")))
        }
        _ => Ok(()),
    }
}

fn print(file: &File, arguments: &OutputArguments) -> Result<(), Report> {
    let mut output = Output::stdout();
    if arguments.json { output.json(file) } else { output.file(file) }
}
