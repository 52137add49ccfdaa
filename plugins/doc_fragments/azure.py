# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a module signs in to Azure: the options of C(azure.azcollection)."""

from __future__ import annotations


class ModuleDocFragment:
    """Authentication and cloud."""

    DOCUMENTATION = r"""
options:
  auth_source:
    description:
      - Where the credentials come from. By default E(ANSIBLE_AZURE_AUTH_SOURCE), or else V(auto).
      - With V(auto), O(client_id) of the task, then the environment variables, then the login of the Azure CLI, then
        the managed identity of the host.
      - With V(env), the environment variables only.
      - With V(cli), the login of the Azure CLI.
      - With V(msi), the managed identity of the host; O(client_id) names a user-assigned one.
      - V(credential_file) is known for the sake of C(azure.azcollection) and refused in this version.
    type: str
    choices: [auto, cli, credential_file, env, msi]
  subscription_id:
    description:
      - Subscription of machines that are named without it. By default E(AZURE_SUBSCRIPTION_ID).
    type: str
  client_id:
    description:
      - Client (application) ID of the service principal, or of a user-assigned managed identity. By default
        E(AZURE_CLIENT_ID).
    type: str
  secret:
    description:
      - Client secret of the service principal. By default E(AZURE_SECRET), or else E(AZURE_CLIENT_SECRET).
    type: str
  tenant:
    description:
      - Tenant of the service principal. By default E(AZURE_TENANT), or else E(AZURE_TENANT_ID).
    type: str
  cloud_environment:
    description:
      - Name of the cloud (V(AzureCloud), V(AzureUSGovernment), V(AzureChinaCloud)), or the https URL of a cloud's
        Resource Manager. By default E(AZURE_CLOUD_ENVIRONMENT), or else V(AzureCloud).
    type: str
  cert_validation_mode:
    description:
      - Whether Azure's certificates are verified. By default E(AZURE_CERT_VALIDATION_MODE), or else V(validate).
      - Certificate authorities beside the system's are read from E(REQUESTS_CA_BUNDLE) or E(SSL_CERT_FILE).
    type: str
    choices: [ignore, validate]
  disable_instance_discovery:
    description:
      - Whether to trust the cloud's login endpoint without asking the public one about it, as private clouds need. By
        default E(AZURE_DISABLE_INSTANCE_DISCOVERY).
    type: bool
  profile:
    description:
      - Section of a credential file; refused in this version rather than ignored.
    type: str
  ad_user:
    description:
      - User name; refused in this version rather than ignored.
    type: str
  password:
    description:
      - Password of O(ad_user); refused in this version rather than ignored.
    type: str
  x509_certificate_path:
    description:
      - Certificate of the service principal; refused in this version rather than ignored.
    type: path
  thumbprint:
    description:
      - Thumbprint of O(x509_certificate_path); refused in this version rather than ignored.
    type: str
  oidc_token:
    description:
      - Federated token; refused in this version rather than ignored.
    type: str
  oidc_token_file_path:
    description:
      - File of a federated token; refused in this version rather than ignored.
    type: path
  adfs_authority_url:
    description:
      - Authority of AD FS; refused in this version rather than ignored.
    type: str
  api_profile:
    description:
      - Accepted for the sake of C(azure.azcollection) and ignored, see O(api_version).
    type: str
    default: latest
  log_mode:
    description:
      - Accepted for the sake of C(azure.azcollection) and ignored.
    type: str
  log_path:
    description:
      - Accepted for the sake of C(azure.azcollection) and ignored.
    type: str
requirements:
  - azure-mgmt-compute >= 33
  - azure-identity
  - aiohttp
notes:
  - The Azure libraries must be installed where the task runs, which is the controller for a task delegated to
    C(localhost).
"""
