//! The client for programs without async: the same functions, each of which waits for its result.

mod download;
mod start;
mod stream;

use std::{
    fmt,
    future::IntoFuture,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::Response;
use partwise_models::{DeletedFile, File, Purpose, Upload};
use partwise_protocol::{
    Operation,
    download::DownloadPlan,
    operations::DownloadFile,
    upload::{Comparison, Plan},
};
use tokio::runtime::{Builder, Runtime};

use self::stream::Stream;
pub use self::{
    download::{Download, DownloadRequest, Reader},
    start::StartError,
};
use crate::{DownloadBuilder, Error, FileListing, IntoSource, IntoTarget, PathDownload, UploadBuilder};

/// A [`Client`](crate::Client) whose functions wait for their results, on a runtime that it owns: one thread beside the caller's.
/// Cheap to clone; clones share both.
///
/// Like every function that waits, those of this client must not be called by async code: the runtime that it runs on could do
/// nothing else meanwhile, and tokio's panics.
///
/// ```no_run
/// use partwise::{Purpose, blocking::Client};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::from_env()?;
/// let file = client.upload_file("train.jsonl", Purpose::FineTune).with(|upload| upload.part_size(8 << 20)).run()?;
/// println!("{}", file.id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Wraps a client, and starts its runtime.
    ///
    /// # Errors
    /// When the system gives no thread, or nothing to wait with.
    pub fn new(client: crate::Client) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { client, runtime: Arc::new(runtime) })
    }

    /// Returns this client with a time limit for each of its calls: see [`Client::with_timeout`](crate::Client::with_timeout).
    #[must_use]
    pub fn with_timeout(&self, limit: Duration) -> Self {
        Self { client: self.client.with_timeout(limit), runtime: self.runtime.clone() }
    }

    /// Executes an operation: see [`Client::call`](crate::Client::call).
    ///
    /// # Errors
    /// As there.
    pub fn call<O: Operation>(&self, operation: &O) -> Result<O::Response, Error> {
        self.runtime.block_on(self.client.call(operation))
    }

    /// Executes an operation, and returns the head of the answer too: see
    /// [`Client::call_with_head`](crate::Client::call_with_head).
    ///
    /// # Errors
    /// As there.
    pub fn call_with_head<O: Operation>(&self, operation: &O) -> Result<Response<O::Response>, Error> {
        self.runtime.block_on(self.client.call_with_head(operation))
    }

    /// Executes an operation whose content is a range of `source`: see [`Client::call_with`](crate::Client::call_with).
    ///
    /// # Errors
    /// As there.
    pub fn call_with<O: Operation>(
        &self,
        operation: &O,
        source: impl IntoSource,
    ) -> Result<O::Response, Error> {
        self.runtime.block_on(self.client.call_with(operation, source))
    }

    /// Lists the files that the service holds, one by one over all pages. `ask` says which: see [`FileListing`].
    ///
    /// ```no_run
    /// use partwise::{Error, Purpose, blocking::Client};
    ///
    /// # fn example(client: Client) -> Result<(), Error> {
    /// for file in client.files(|files| files.purpose(Purpose::Batch)) {
    ///     println!("{}", file?.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn files(
        &self,
        ask: impl FnOnce(FileListing) -> FileListing,
    ) -> impl Iterator<Item = Result<File, Error>> {
        let (mut listing, runtime) = (Some(ask(self.client.files())), self.runtime.clone());
        let mut page = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(file) = page.next() {
                    return Some(Ok(file));
                }
                match runtime.block_on(listing.as_mut()?.next_page()) {
                    Ok(Some(files)) => page = files.into_iter(),
                    Ok(None) => listing = None,
                    Err(error) => {
                        listing = None;
                        return Some(Err(error));
                    }
                }
            }
        })
    }

    /// Retrieves a file's object.
    ///
    /// # Errors
    /// As for [`Client::file`](crate::Client::file).
    pub fn file(&self, id: &str) -> Result<File, Error> {
        self.runtime.block_on(self.client.file(id))
    }

    /// Deletes a file, and returns whether the service has deleted it.
    ///
    /// # Errors
    /// As for [`Client::delete_file`](crate::Client::delete_file).
    pub fn delete_file(&self, id: &str) -> Result<bool, Error> {
        self.runtime.block_on(self.client.delete_file(id))
    }

    /// Deletes a file, and returns the service's answer.
    ///
    /// # Errors
    /// As for [`Client::delete_file_with_answer`](crate::Client::delete_file_with_answer).
    pub fn delete_file_with_answer(&self, id: &str) -> Result<DeletedFile, Error> {
        self.runtime.block_on(self.client.delete_file_with_answer(id))
    }

    /// Cancels an upload, and returns its object.
    ///
    /// # Errors
    /// As for [`Client::cancel_upload`](crate::Client::cancel_upload).
    pub fn cancel_upload(&self, id: &str) -> Result<Upload, Error> {
        self.runtime.block_on(self.client.cancel_upload(id))
    }

    /// Waits until the service has processed a file.
    ///
    /// # Errors
    /// As for [`Client::wait_until_processed`](crate::Client::wait_until_processed).
    pub fn wait_until_processed(&self, id: &str) -> Result<File, Error> {
        self.runtime.block_on(self.client.wait_until_processed(id))
    }

    /// Uploads the file at `path`: see [`Client::upload_file`](crate::Client::upload_file).
    pub fn upload_file(&self, path: impl Into<PathBuf>, purpose: Purpose) -> Job<UploadBuilder> {
        self.job(self.client.upload_file(path, purpose))
    }

    /// Uploads `source` under a name: see [`Client::upload`](crate::Client::upload).
    pub fn upload(
        &self,
        name: impl Into<String>,
        source: impl IntoSource,
        purpose: Purpose,
    ) -> Job<UploadBuilder> {
        self.job(self.client.upload(name, source, purpose))
    }

    /// Uploads what `reader` reads, to its end: see [`Client::upload_stream`](crate::Client::upload_stream). It is read on a thread,
    /// so a reader that blocks holds up neither timeouts nor requests; an upload that ends before it does not wait for it.
    ///
    /// ```no_run
    /// use partwise::{Purpose, blocking::Client};
    ///
    /// # fn example(client: Client) -> Result<(), partwise::Error> {
    /// let file = client.upload_stream("dump.jsonl", std::io::stdin(), Purpose::Batch).run()?;
    /// println!("{}", file.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_stream(
        &self,
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
        purpose: Purpose,
    ) -> Job<UploadBuilder> {
        self.job(self.client.upload_stream(name, Stream::new(reader), purpose))
    }

    /// Uploads `source` as the plan says: see [`Client::upload_as`](crate::Client::upload_as).
    pub fn upload_as(&self, plan: Plan, source: impl IntoSource) -> Job<UploadBuilder> {
        self.job(self.client.upload_as(plan, source))
    }

    /// Compares the content of a file on the service with `source`: see [`Client::compare`](crate::Client::compare).
    ///
    /// # Errors
    /// As there.
    pub fn compare(&self, file_id: &str, source: impl IntoSource) -> Result<Comparison, Error> {
        self.runtime.block_on(self.client.compare(file_id, source))
    }

    /// Downloads a file to `path`: see [`Client::download_file`](crate::Client::download_file).
    pub fn download_file(
        &self,
        file: impl Into<DownloadPlan>,
        path: impl Into<PathBuf>,
    ) -> Job<PathDownload> {
        self.job(self.client.download_file(file, path))
    }

    /// Downloads a file to `target`: see [`Client::download_to`](crate::Client::download_to).
    pub fn download_to(
        &self,
        file: impl Into<DownloadPlan>,
        target: impl IntoTarget,
    ) -> Job<DownloadBuilder> {
        self.job(self.client.download_to(file, target))
    }

    /// Asks for a file's content: see [`Client::download`](crate::Client::download).
    pub fn download(&self, file: impl Into<DownloadFile>) -> DownloadRequest {
        DownloadRequest { request: self.client.download(file), runtime: self.runtime.clone() }
    }

    fn job<J>(&self, job: J) -> Job<J> {
        Job { job, runtime: self.runtime.clone() }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

/// An upload or a download that begins when it is [run](Self::run).
///
/// There is no `prepare`: it gives others something to await while the job runs. Here the function given to `on_progress` is called
/// on the thread that runs the job, and may send the progress to a channel of any kind.
///
/// ```no_run
/// use partwise::{Purpose, blocking::Client};
///
/// # fn example(client: Client) -> Result<(), partwise::Error> {
/// let upload = client.upload_file("train.jsonl", Purpose::FineTune);
/// let file = upload.with(|upload| upload.part_size(8 << 20).parallel(4)).run()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before it runs"]
pub struct Job<J> {
    job: J,
    runtime: Arc<Runtime>,
}

impl<J: IntoFuture> Job<J> {
    /// Returns the job with other settings.
    pub fn with(self, set: impl FnOnce(J) -> J) -> Self {
        Self { job: set(self.job), runtime: self.runtime }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Those of the job.
    pub fn run(self) -> J::Output {
        let Self { job, runtime } = self;
        runtime.block_on(async { job.await })
    }
}
