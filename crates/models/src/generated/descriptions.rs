// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! Descriptions of the types, of which schemas are made.

use crate::schema::{Described, Member, Plain, Writer, described};
use crate::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, Error, ErrorCode, ErrorResponse, ExpiresAfter,
    ExpiryAnchor, File, FileList, FileState, ImportFileRequest, InnerError, InnerErrorCode, Purpose,
    TypeDiscriminator, Upload, UploadPartResource, UploadStatus,
};

impl Described for ErrorResponse {
    const NAME: &'static str = "ErrorResponse";
    const TEXT: &'static str = "The body of a refusal. An optional member that is not as described \
counts as absent when it is read; members that are not described are \
ignored.";

    fn describe(to: &mut impl Writer) {
        to.named::<Error>(Member::required("error", "What went wrong."));
    }
}

described!(ErrorResponse);

impl Described for Error {
    const NAME: &'static str = "Error";
    const TEXT: &'static str = "Why a request was refused, or one detail of it. An optional member that \
is not as described counts as absent when it is read; members that are \
not described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.named::<ErrorCode>(Member::optional(
            "code",
            "The kind of error, for programs. On Azure often the HTTP status, as \
text; on OpenAI often null.",
        ));
        to.plain(Member::optional("message", "What went wrong, for people."), Plain::Text);
        to.plain(
            Member::optional(
                "type",
                "The class of error, such as `invalid_request_error`.\n\nWhere: OpenAI, \
Azure v1.",
            ),
            Plain::Text,
        );
        to.plain(
            Member::optional("param", "The field or parameter that is at fault.\n\nWhere: OpenAI, Azure v1."),
            Plain::Text,
        );
        to.plain(Member::optional("target", "What the error is about.\n\nWhere: dated Azure."), Plain::Text);
        to.list::<Error>(Member::optional(
            "details",
            "The single errors behind this one.\n\nWhere: dated Azure.",
        ));
        to.named::<InnerError>(Member::optional(
            "innererror",
            "A more specific error. Azure v1 spells it `inner_error`, which is read \
as well.\n\nWhere: dated Azure.",
        ));
        to.named::<InnerError>(Member::spelling("inner_error", "A more specific error.\n\nWhere: Azure v1."));
    }
}

described!(Error);

impl Described for ErrorCode {
    const NAME: &'static str = "ErrorCode";
    const TEXT: &'static str = "The kind of error, for programs. Azure's codes come without statuses in \
its documents; gateways and OpenAI send codes of their own. A number is \
read as its decimal text.";

    fn describe(to: &mut impl Writer) {
        to.values(
            &[
                (
                    "conflict",
                    "The resource is in a state that does not allow the request.\n\nWhere: \
dated Azure, Azure v1.",
                ),
                (
                    "invalidPayload",
                    "The content of the request is not valid for this operation.\n\nWhere: \
dated Azure, Azure v1.",
                ),
                ("forbidden", "The caller may not do this.\n\nWhere: dated Azure, Azure v1."),
                ("notFound", "There is no such resource.\n\nWhere: dated Azure, Azure v1."),
                (
                    "unexpectedEntityState",
                    "The resource is not in the state that the operation needs.\n\nWhere: \
dated Azure, Azure v1.",
                ),
                ("itemDoesAlreadyExist", "There is such an item already.\n\nWhere: dated Azure, Azure v1."),
                (
                    "serviceUnavailable",
                    "The service cannot be reached for now.\n\nWhere: dated Azure, Azure v1.",
                ),
                (
                    "internalFailure",
                    "The service failed; another try may succeed.\n\nWhere: dated Azure, \
Azure v1.",
                ),
                ("quotaExceeded", "A quota is used up.\n\nWhere: dated Azure, Azure v1."),
                (
                    "jsonlValidationFailed",
                    "The lines of the file are not as its purpose wants them.\n\nWhere: \
dated Azure, Azure v1.",
                ),
                (
                    "fileImportFailed",
                    "The service could not fetch the file.\n\nWhere: dated Azure, Azure v1.",
                ),
                (
                    "tooManyRequests",
                    "Too many requests in too short a time.\n\nWhere: dated Azure, Azure v1.",
                ),
                (
                    "unauthorized",
                    "The credential does not allow the operation.\n\nWhere: dated Azure, \
Azure v1.",
                ),
                ("contentFilter", "A safety filter refused the content.\n\nWhere: dated Azure, Azure v1."),
                ("invalid_api_key", "The key is wrong.\n\nWhere: OpenAI, Azure v1."),
                ("rate_limit_exceeded", "Too many requests in too short a time.\n\nWhere: OpenAI, Azure v1."),
                (
                    "insufficient_quota",
                    "What was paid for is used up; waiting does not help.\n\nWhere: OpenAI, \
Azure v1.",
                ),
            ],
            true,
        );
    }
}

described!(ErrorCode);

impl Described for InnerError {
    const NAME: &'static str = "InnerError";
    const TEXT: &'static str = "A more specific error inside an error; each may hold another. An \
optional member that is not as described counts as absent when it is \
read; members that are not described are ignored.\n\nWhere: dated \
Azure, Azure v1.";

    fn describe(to: &mut impl Writer) {
        to.named::<InnerErrorCode>(Member::optional("code", "The kind of error, for programs."));
        to.named::<InnerError>(Member::optional(
            "innererror",
            "A still more specific error. Azure v1 spells it `inner_error`, which is \
read as well.\n\nWhere: dated Azure.",
        ));
        to.named::<InnerError>(Member::spelling(
            "inner_error",
            "A still more specific error.\n\nWhere: Azure v1.",
        ));
    }
}

described!(InnerError);

impl Described for InnerErrorCode {
    const NAME: &'static str = "InnerErrorCode";
    const TEXT: &'static str = "The kind of an inner error.\n\nWhere: dated Azure, Azure v1.";

    fn describe(to: &mut impl Writer) {
        to.values(
            &[("invalidPayload", "The content of the request is not valid for this operation.")],
            false,
        );
    }
}

described!(InnerErrorCode);

impl Described for ExpiresAfter {
    const NAME: &'static str = "ExpiresAfter";
    const TEXT: &'static str = "How long a file is to live. A member that is not as described is an \
error when it is read; members that are not described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.named::<ExpiryAnchor>(Member::required("anchor", "The moment that the seconds are counted from."));
        to.plain(Member::required("seconds", "How many seconds; an hour to thirty days."), Plain::Count);
    }
}

described!(ExpiresAfter);

impl Described for ExpiryAnchor {
    const NAME: &'static str = "ExpiryAnchor";
    const TEXT: &'static str = "The moment that the life of a file is counted from.";

    fn describe(to: &mut impl Writer) {
        to.values(&[("created_at", "The creation of the file.")], false);
    }
}

described!(ExpiryAnchor);

impl Described for File {
    const NAME: &'static str = "File";
    const TEXT: &'static str = "A stored file, as the service describes it. An optional member that is \
not as described counts as absent when it is read; members that are not \
described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.plain(
            Member::required("id", "Names the file in paths and in other requests. Opaque."),
            Plain::Text,
        );
        to.named::<TypeDiscriminator>(Member::optional("object", "Always `file`."));
        to.plain(
            Member::optional(
                "bytes",
                "The size in bytes. Azure leaves it out, or sends null, while it does \
not know.",
            ),
            Plain::Count,
        );
        to.plain(
            Member::optional(
                "created_at",
                "When the file was created. A file made of an upload bears the upload's \
time.",
            ),
            Plain::Time,
        );
        to.plain(
            Member::optional(
                "expires_at",
                "When the service deletes the file by itself; missing or null when it \
does not.\n\nWhere: OpenAI, dated Azure from 2025-04-01, Azure v1.",
            ),
            Plain::Time,
        );
        to.plain(Member::optional("filename", "The name that was sent with the content."), Plain::Text);
        to.named::<Purpose>(Member::optional("purpose", "What the file is for."));
        to.named::<FileState>(Member::optional(
            "status",
            "How far the service is with the file. OpenAI calls it deprecated.",
        ));
        to.plain(
            Member::optional("status_details", "Why the file cannot be used. OpenAI calls it deprecated."),
            Plain::Text,
        );
    }
}

described!(File);

impl Described for FileState {
    const NAME: &'static str = "FileState";
    const TEXT: &'static str = "How far the service is with a file.";

    fn describe(to: &mut impl Writer) {
        to.values(
            &[
                ("uploaded", "Stored, not looked at yet."),
                ("pending", "Waiting to be looked at.\n\nWhere: dated Azure, Azure v1."),
                ("running", "Being looked at.\n\nWhere: dated Azure, Azure v1."),
                ("processed", "Ready for use. Final."),
                ("error", "Not fit for use; the details say why. Final."),
                ("deleting", "On its way out.\n\nWhere: dated Azure, Azure v1."),
                (
                    "deleted",
                    "Gone, though something else may still name it. Final.\n\nWhere: dated \
Azure, Azure v1.",
                ),
            ],
            false,
        );
    }
}

described!(FileState);

impl Described for FileList {
    const NAME: &'static str = "FileList";
    const TEXT: &'static str = "A page of files, or all of them where the service does not page. An \
optional member that is not as described counts as absent when it is \
read; members that are not described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.named::<TypeDiscriminator>(Member::optional("object", "Always `list`."));
        to.list::<File>(Member::required("data", "The files."));
        to.plain(
            Member::optional(
                "first_id",
                "The id of the first file of this page.\n\nWhere: OpenAI, dated Azure \
from 2025-04-01, Azure v1.",
            ),
            Plain::Text,
        );
        to.plain(
            Member::optional(
                "last_id",
                "The id of the last file of this page; the next page comes after \
it.\n\nWhere: OpenAI, dated Azure from 2025-04-01, Azure v1.",
            ),
            Plain::Text,
        );
        to.plain(
            Member::optional(
                "has_more",
                "Whether another page follows.\n\nWhere: OpenAI, dated Azure from \
2025-04-01, Azure v1.",
            ),
            Plain::Flag,
        );
    }
}

described!(FileList);

impl Described for DeletedFile {
    const NAME: &'static str = "DeletedFile";
    const TEXT: &'static str = "What became of a file that was to be deleted. An optional member that \
is not as described counts as absent when it is read; members that are \
not described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.plain(Member::required("id", "The id of the file."), Plain::Text);
        to.named::<TypeDiscriminator>(Member::optional("object", "Always `file`."));
        to.plain(
            Member::optional(
                "deleted",
                "Whether this request deleted the file; Azure says false of one that was \
gone before.",
            ),
            Plain::Flag,
        );
    }
}

described!(DeletedFile);

impl Described for ImportFileRequest {
    const NAME: &'static str = "ImportFileRequest";
    const TEXT: &'static str = "Where the service fetches a file by itself. A member that is not as \
described is an error when it is read; members that are not described \
are ignored.";

    fn describe(to: &mut impl Writer) {
        to.named::<Purpose>(Member::required("purpose", "What the file is for."));
        to.plain(Member::required("filename", "The name that the file is to have."), Plain::Text);
        to.plain(
            Member::required(
                "content_url",
                "The address of the content, with whatever the service needs to be let \
in. That is often a secret, so `Debug` leaves it out.",
            ),
            Plain::Text,
        );
    }
}

described!(ImportFileRequest);

impl Described for TypeDiscriminator {
    const NAME: &'static str = "TypeDiscriminator";
    const TEXT: &'static str = "What kind of object a JSON object is, in its member `object`.";

    fn describe(to: &mut impl Writer) {
        to.values(
            &[
                ("list", "A list of objects."),
                ("file", "A file."),
                ("upload", "An upload.\n\nWhere: OpenAI, dated Azure from 2024-08-01, Azure v1."),
                (
                    "upload.part",
                    "One part of an upload.\n\nWhere: OpenAI, dated Azure from 2024-08-01, \
Azure v1.",
                ),
                (
                    "batch",
                    "A batch of requests.\n\nWhere: OpenAI, dated Azure from 2024-10-21, \
Azure v1.",
                ),
                ("fine_tuning.job", "A fine-tuning job."),
                ("fine_tuning.job.event", "Something that happened to a fine-tuning job."),
                ("fine_tuning.job.checkpoint", "A model as it stood at one point of a fine-tuning job."),
                ("model", "A model."),
            ],
            false,
        );
    }
}

described!(TypeDiscriminator);

impl Described for Purpose {
    const NAME: &'static str = "Purpose";
    const TEXT: &'static str = "What a file is for. The service checks content and name by it.";

    fn describe(to: &mut impl Writer) {
        to.values(
            &[
                ("assistants", "Input for assistants."),
                ("assistants_output", "Written by assistants."),
                ("batch", "Requests for a batch, one a line."),
                ("batch_output", "Written by a batch."),
                ("evals", "Input for evaluations."),
                ("evals_output", "Written by an evaluation."),
                ("fine-tune", "Training or validation data for a fine-tuning job."),
                ("fine-tune-results", "Written by a fine-tuning job."),
                ("user_data", "Anything that a model is given to read."),
                ("vision", "Images that a model is given to look at."),
            ],
            false,
        );
    }
}

described!(Purpose);

impl Described for Upload {
    const NAME: &'static str = "Upload";
    const TEXT: &'static str = "A file on its way in parts, as the service describes it. An optional \
member that is not as described counts as absent when it is read; \
members that are not described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.plain(Member::required("id", "Names the upload in paths. Opaque."), Plain::Text);
        to.named::<TypeDiscriminator>(Member::optional("object", "Always `upload`."));
        to.plain(
            Member::optional("bytes", "The size of the whole file in bytes, as announced."),
            Plain::Count,
        );
        to.plain(Member::optional("created_at", "When the upload was created."), Plain::Time);
        to.plain(Member::optional("expires_at", "Until when the upload can be completed."), Plain::Time);
        to.plain(Member::optional("filename", "The name of the file to be."), Plain::Text);
        to.named::<Purpose>(Member::optional("purpose", "What the file is for."));
        to.named::<UploadStatus>(Member::optional("status", "How far the upload is."));
        to.named::<File>(Member::optional(
            "file",
            "The file that the upload became. Azure's samples show one in every \
status.",
        ));
    }
}

described!(Upload);

impl Described for UploadStatus {
    const NAME: &'static str = "UploadStatus";
    const TEXT: &'static str = "How far an upload is. All but `pending` are final.";

    fn describe(to: &mut impl Writer) {
        to.values(
            &[
                ("pending", "Takes parts."),
                ("completed", "Has become a file."),
                ("cancelled", "Was given up."),
                ("expired", "Was not completed in time."),
            ],
            false,
        );
    }
}

described!(UploadStatus);

impl Described for UploadPartResource {
    const NAME: &'static str = "UploadPartResource";
    const TEXT: &'static str = "One part of an upload. An optional member that is not as described \
counts as absent when it is read; members that are not described are \
ignored.";

    fn describe(to: &mut impl Writer) {
        to.plain(Member::required("id", "Names the part when the upload is completed. Opaque."), Plain::Text);
        to.named::<TypeDiscriminator>(Member::optional("object", "Always `upload.part`."));
        to.plain(Member::optional("created_at", "When the part was stored."), Plain::Time);
        to.plain(Member::optional("upload_id", "The id of the upload."), Plain::Text);
        to.plain(
            Member::optional(
                "azure_block_id",
                "The part's name in Azure's storage. Azure's sample completes an upload \
with such names where its text speaks of part ids; working clients send \
`id`.\n\nWhere: dated Azure from 2024-08-01.",
            ),
            Plain::Text,
        );
    }
}

described!(UploadPartResource);

impl Described for CreateUploadRequest {
    const NAME: &'static str = "CreateUploadRequest";
    const TEXT: &'static str = "Announces a file that will come in parts. A member that is not as \
described is an error when it is read; members that are not described \
are ignored.";

    fn describe(to: &mut impl Writer) {
        to.plain(Member::required("filename", "The name that the file is to have."), Plain::Text);
        to.named::<Purpose>(Member::required("purpose", "What the file is for."));
        to.plain(Member::required("bytes", "The size of the whole file in bytes."), Plain::Count);
        to.plain(Member::required("mime_type", "The media type of the content."), Plain::Text);
        to.named::<ExpiresAfter>(Member::optional(
            "expires_after",
            "How long the file is to live, counted from its creation.\n\nWhere: \
OpenAI, Azure v1.",
        ));
    }
}

described!(CreateUploadRequest);

impl Described for CompleteUploadRequest {
    const NAME: &'static str = "CompleteUploadRequest";
    const TEXT: &'static str = "Names the parts that make the file. A member that is not as described \
is an error when it is read; members that are not described are ignored.";

    fn describe(to: &mut impl Writer) {
        to.plain(
            Member::required("part_ids", "The ids of the parts, in the order of their bytes."),
            Plain::Texts,
        );
        to.plain(
            Member::optional(
                "md5",
                "The md5 of the whole file. No document states its form; lower-case \
hexadecimal is the common reading.",
            ),
            Plain::Text,
        );
    }
}

described!(CompleteUploadRequest);
