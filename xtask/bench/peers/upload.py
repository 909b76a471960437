"""Uploads a file in parts with the official Python client, the way its own helper does it.

Usage: upload.py BASE_URL FILE PART_SIZE RETRIES
"""

import sys

from openai import OpenAI

base_url, path, part_size, retries = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = OpenAI(base_url=base_url, api_key="key", max_retries=retries)
upload = client.uploads.upload_file_chunked(
    file=path, mime_type="application/octet-stream", purpose="assistants", part_size=part_size
)
assert upload.status == "completed", upload
