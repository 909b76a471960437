// Written by `cargo xtask codegen` from docs/contract/openapi.yaml; change that file instead of this one.

//! Random values of the types.

use alloc::boxed::Box;
use alloc::vec::Vec;

use proptest::arbitrary::{Arbitrary, any};
use proptest::collection::vec;
use proptest::option;
use proptest::strategy::{BoxedStrategy, Strategy};

use crate::arbitrary::{arbitrary_enum, text};
use crate::{
    CompleteUploadRequest, CreateUploadRequest, DeletedFile, Error, ErrorCode, ErrorResponse, ExpiresAfter,
    ExpiryAnchor, File, FileList, FileState, ImportFileRequest, InnerError, InnerErrorCode, Purpose,
    TypeDiscriminator, UnixSeconds, Upload, UploadPartResource, UploadStatus,
};

impl Arbitrary for ErrorResponse {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (any::<Error>(),).prop_map(|(error,)| Self { error }).boxed()
    }
}

impl Arbitrary for Error {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let flat = (
            option::of(any::<ErrorCode>()),
            option::of(text()),
            option::of(text()),
            option::of(text()),
            option::of(text()),
            option::of(any::<Box<InnerError>>()),
        )
            .prop_map(|(code, message, kind, param, target, innererror)| Self {
                code,
                message,
                kind,
                param,
                target,
                innererror,
                details: Vec::new(),
            })
            .boxed();
        let nested = flat.clone().prop_recursive(3, 8, 3, move |inner| {
            (flat.clone(), vec(inner.clone(), 0..3)).prop_map(|(flat, details)| Self { details, ..flat })
        });
        nested.boxed()
    }
}

arbitrary_enum!(ErrorCode);

impl Arbitrary for InnerError {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let flat = (option::of(any::<InnerErrorCode>()),)
            .prop_map(|(code,)| Self { code, innererror: None })
            .boxed();
        let nested = flat.clone().prop_recursive(3, 8, 3, move |inner| {
            (flat.clone(), option::of(inner.clone().prop_map(Box::new)))
                .prop_map(|(flat, innererror)| Self { innererror, ..flat })
        });
        nested.boxed()
    }
}

arbitrary_enum!(InnerErrorCode);

impl Arbitrary for ExpiresAfter {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (any::<ExpiryAnchor>(), any::<u64>()).prop_map(|(anchor, seconds)| Self { anchor, seconds }).boxed()
    }
}

arbitrary_enum!(ExpiryAnchor);

impl Arbitrary for File {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (
            text(),
            option::of(any::<TypeDiscriminator>()),
            option::of(any::<u64>()),
            option::of(any::<UnixSeconds>()),
            option::of(any::<UnixSeconds>()),
            option::of(text()),
            option::of(any::<Purpose>()),
            option::of(any::<FileState>()),
            option::of(text()),
        )
            .prop_map(
                |(id, object, bytes, created_at, expires_at, filename, purpose, status, status_details)| {
                    Self {
                        id,
                        object,
                        bytes,
                        created_at,
                        expires_at,
                        filename,
                        purpose,
                        status,
                        status_details,
                    }
                },
            )
            .boxed()
    }
}

arbitrary_enum!(FileState);

impl Arbitrary for FileList {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (
            option::of(any::<TypeDiscriminator>()),
            vec(any::<File>(), 0..4),
            option::of(text()),
            option::of(text()),
            option::of(any::<bool>()),
        )
            .prop_map(|(object, data, first_id, last_id, has_more)| Self {
                object,
                data,
                first_id,
                last_id,
                has_more,
            })
            .boxed()
    }
}

impl Arbitrary for DeletedFile {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (text(), option::of(any::<TypeDiscriminator>()), option::of(any::<bool>()))
            .prop_map(|(id, object, deleted)| Self { id, object, deleted })
            .boxed()
    }
}

impl Arbitrary for ImportFileRequest {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (any::<Purpose>(), text(), text())
            .prop_map(|(purpose, filename, content_url)| Self { purpose, filename, content_url })
            .boxed()
    }
}

arbitrary_enum!(TypeDiscriminator);

arbitrary_enum!(Purpose);

impl Arbitrary for Upload {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (
            text(),
            option::of(any::<TypeDiscriminator>()),
            option::of(any::<u64>()),
            option::of(any::<UnixSeconds>()),
            option::of(any::<UnixSeconds>()),
            option::of(text()),
            option::of(any::<Purpose>()),
            option::of(any::<UploadStatus>()),
            option::of(any::<File>()),
        )
            .prop_map(|(id, object, bytes, created_at, expires_at, filename, purpose, status, file)| Self {
                id,
                object,
                bytes,
                created_at,
                expires_at,
                filename,
                purpose,
                status,
                file,
            })
            .boxed()
    }
}

arbitrary_enum!(UploadStatus);

impl Arbitrary for UploadPartResource {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (
            text(),
            option::of(any::<TypeDiscriminator>()),
            option::of(any::<UnixSeconds>()),
            option::of(text()),
            option::of(text()),
        )
            .prop_map(|(id, object, created_at, upload_id, azure_block_id)| Self {
                id,
                object,
                created_at,
                upload_id,
                azure_block_id,
            })
            .boxed()
    }
}

impl Arbitrary for CreateUploadRequest {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (text(), any::<Purpose>(), any::<u64>(), text(), option::of(any::<ExpiresAfter>()))
            .prop_map(|(filename, purpose, bytes, mime_type, expires_after)| Self {
                filename,
                purpose,
                bytes,
                mime_type,
                expires_after,
            })
            .boxed()
    }
}

impl Arbitrary for CompleteUploadRequest {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        (vec(text(), 0..4), option::of(text())).prop_map(|(part_ids, md5)| Self { part_ids, md5 }).boxed()
    }
}
