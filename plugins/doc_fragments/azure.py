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
      - With V(auto), the first of these that is there. O(profile) of the task; O(client_id) or O(ad_user) of the task;
        E(AZURE_PROFILE), or client ID or user in the environment; the section C(default) of C(~/.azure/credentials), if
        it holds C(client_id) or C(ad_user); the login of the Azure CLI; the managed identity of the host.
      - What proves who one is comes from the same source. Of a task that leaves it out, it is taken from the
        environment. Of several, the first of O(oidc_token), O(oidc_token_file_path), O(secret),
        O(x509_certificate_path) and O(password) counts.
      - With V(env), the environment variables only.
      - With V(credential_file), the section O(profile) of C(~/.azure/credentials), by default C(default).
      - With V(cli), the login of the Azure CLI.
      - With V(msi), the managed identity of the host; O(client_id) names a user-assigned one.
    type: str
    choices: [auto, cli, credential_file, env, msi]
  profile:
    description:
      - Section of the credential file C(~/.azure/credentials), an INI file whose keys are the names of the options
        here. By default E(AZURE_PROFILE).
      - Then who one is, and the proof of it, come from that section alone. The other options may come from it as well;
        the task's own win over it, and it over the environment.
    type: str
  subscription_id:
    description:
      - Subscription of machines that are named without it. By default that of O(profile), or else
        E(AZURE_SUBSCRIPTION_ID).
    type: str
  client_id:
    description:
      - Client (application) ID of the service principal, or of a user-assigned managed identity. By default
        E(AZURE_CLIENT_ID).
      - Beside O(ad_user), the application that the user signs in through, by default that of the Azure CLI.
    type: str
  secret:
    description:
      - Client secret of the service principal. By default E(AZURE_SECRET), or else E(AZURE_CLIENT_SECRET).
    type: str
  tenant:
    description:
      - Tenant of the service principal or user. By default E(AZURE_TENANT), or else E(AZURE_TENANT_ID).
      - C(adfs) with AD FS.
    type: str
  x509_certificate_path:
    description:
      - File with the service principal's certificate and its RSA key, as PEM or as PKCS12 (C(.pfx)). By default
        E(AZURE_X509_CERTIFICATE_PATH), or else E(AZURE_CLIENT_CERTIFICATE_PATH).
      - The password of an encrypted file is taken from E(AZURE_CLIENT_CERTIFICATE_PASSWORD).
    type: path
  thumbprint:
    description:
      - SHA-1 thumbprint of the certificate in O(x509_certificate_path), in hexadecimal. By default
        E(AZURE_THUMBPRINT).
      - It is not needed; a given one is compared.
    type: str
  oidc_token:
    description:
      - Token of an OpenID Connect issuer that the service principal has a federated credential for. By default
        E(AZURE_FEDERATED_TOKEN).
      - Such tokens live for minutes, and Azure wants one again after about an hour. For longer runs there is
        O(oidc_token_file_path).
    type: str
  oidc_token_file_path:
    description:
      - File with such a token, which the issuer keeps fresh, as Kubernetes does for workload identity. By default
        E(AZURE_FEDERATED_TOKEN_FILE).
      - It is read again whenever a token is asked for.
    type: path
  ad_user:
    description:
      - Name of a user, such as V(operator@example.com). By default E(AZURE_AD_USER), or else E(AZURE_USERNAME).
      - A user who must use multi-factor authentication cannot sign in so, and Azure demands it of users who change
        anything. Use a service principal or a managed identity where you can.
    type: str
  password:
    description:
      - Password of O(ad_user). By default E(AZURE_PASSWORD).
    type: str
  cloud_environment:
    description:
      - Name of the cloud (V(AzureCloud), V(AzureUSGovernment), V(AzureChinaCloud)), or the https URL of a cloud's
        Resource Manager, which is then asked for its endpoints. By default E(AZURE_CLOUD_ENVIRONMENT), or else
        V(AzureCloud).
      - V(AzureGermanCloud) is refused, because Microsoft closed it in October 2021.
    type: str
  adfs_authority_url:
    description:
      - The https URL of the login endpoint to use in place of the cloud's, such as that of AD FS, then with
        O(tenant=adfs). By default E(AZURE_ADFS_AUTHORITY_URL).
    type: str
  cert_validation_mode:
    description:
      - Whether Azure's certificates are verified. By default E(AZURE_CERT_VALIDATION_MODE), or else V(validate).
      - Certificate authorities beside the system's are read from E(REQUESTS_CA_BUNDLE), E(CURL_CA_BUNDLE),
        E(SSL_CERT_FILE) and E(SSL_CERT_DIR).
    type: str
    choices: [ignore, validate]
  disable_instance_discovery:
    description:
      - Whether to trust the login endpoint without asking the public one about it, as private clouds need. By default
        E(AZURE_DISABLE_INSTANCE_DISCOVERY).
    type: bool
  api_profile:
    description:
      - Accepted for the sake of C(azure.azcollection) and ignored, see C(api_version).
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
  - A task's own keyword C(environment) is shown by Ansible itself at C(-vvv). Secrets belong into the environment of
    Ansible, a credential of AWX, or a vaulted option.
  - The Azure libraries must be installed where the task runs, which is the controller for a task delegated to
    C(localhost).
"""
