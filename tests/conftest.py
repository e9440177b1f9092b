"""What all tests have in common: none of them knows the AWS account of whoever runs them."""

import os

from local import surroundings

surroundings.forget_aws(os.environ)
